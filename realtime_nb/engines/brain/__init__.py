"""The offline dialogue brain: a small matcher, honest about being one.

It finds the intent whose examples sound most like what the recogniser heard (`matcher`), reads slots (`slots`), keeps
track of what is open by following the conversation from its beginning (`dialogue`), calls the session's tools when
one serves the intent (`tools`) and speaks their output (`verbalise`). Intents are data: `intents/*.toml`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

import anyio

from realtime_nb.engines.base import Capabilities, ChatDelta, ChatMessage, ChatModel, ChatRequest, TextDelta, ToolCall
from realtime_nb.engines.brain.dialogue import Dialogue, Plan
from realtime_nb.engines.brain.instructions import Manner, manner_of
from realtime_nb.engines.brain.intents import Reader, load_intents
from realtime_nb.engines.brain.phonetics import Lexicon, dictionary_path
from realtime_nb.engines.brain.verbalise import LEAD, verbalise

__all__ = ["Brain", "create"]

_MOST_MESSAGES = 60
_REPEATED = re.compile(r"^(?:(?:I said|Again): )+")
_GREETINGS = ("Hello! How can I help you today?", "Hi there! What can I do for you?")


def create(*, seed: int = 0, clock: Callable[[], datetime] = datetime.now) -> ChatModel:
    """Return the offline brain.

    Args:
        seed: chooses among equal ways to say something, and the demo data.
        clock: the local time, for those who ask for it.
    """
    return Brain(seed, clock)


class Brain:
    """See `create`. A reply takes a few milliseconds and never fails; closing its iterator is safe at any time."""

    capabilities = Capabilities(
        name="matcher",
        licence="Apache-2.0",
        description="a small offline matcher over a few topics; not a language model",
        streaming=True,
        tools=True,
    )

    def __init__(self, seed: int, clock: Callable[[], datetime]) -> None:
        self._seed = seed
        self._clock = clock
        self._reader: Reader | None = None

    async def start(self) -> None:
        """Load pronunciations and phrases. Calling twice is fine."""
        if self._reader is None:
            self._reader = await anyio.to_thread.run_sync(self._load)

    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        await self.start()
        plan = self.plan(request)
        for sentence in re.findall(r".+?(?:[.!?]+(?=\s|$)|$)\s*", plan.text, re.DOTALL):
            for piece in re.findall(r"\s*\S+|\s+$", sentence):
                yield TextDelta(piece)
            await anyio.lowlevel.checkpoint()
        for call in plan.calls:
            yield call

    async def aclose(self) -> None:
        return None

    def plan(self, request: ChatRequest) -> Plan:
        """Return the whole answer at once."""
        if self._reader is None:
            self._reader = self._load()
        system = [message.text for message in request.messages if message.role == "system"]
        manner = manner_of("\n".join([request.instructions, *system]))
        messages = [message for message in request.messages if message.role != "system"][-_MOST_MESSAGES:]
        tools = request.tools if request.tool_choice != "none" else ()
        talk = Dialogue(self._reader, tools, manner, seed=self._seed, now=self._clock())
        plan: Plan | None = None
        for message in messages:
            if message.role == "user":
                plan = talk.hear(message)
            elif message.role == "assistant":
                talk.last_reply, plan = _REPEATED.sub("", message.text), None
            else:
                plan = None
        last = messages[-1].role if messages else ""
        if last == "tool_output":
            plan = Plan(_outputs(messages))
        elif plan is not None and request.tool_choice not in ("auto", "none") and tools:
            plan = _with_demanded(plan, talk, request)
        first = not any(message.role == "assistant" for message in messages)
        return _in_manner(plan or _unprompted(manner, first, self._seed), manner, first)

    def _load(self) -> Reader:
        reader = Reader(load_intents(), Lexicon(dictionary_path()))
        reader.read("hello")
        return reader


def _outputs(messages: Sequence[ChatMessage]) -> str:
    spoken = []
    for message in reversed(messages):
        if message.role not in ("tool_output", "tool_call"):
            break
        if message.role == "tool_output":
            spoken.append(verbalise(message.text))
    first, *others = reversed(spoken)
    return " ".join([first, *(text.removeprefix(LEAD).lstrip() for text in others)])


def _with_demanded(plan: Plan, talk: Dialogue, request: ChatRequest) -> Plan:
    wanted = request.tool_choice if any(tool.name == request.tool_choice for tool in request.tools) else None
    if request.tool_choice != "required" and wanted is None:
        return plan
    made: tuple[ToolCall, ...] = tuple(call for call in plan.calls if wanted in (None, call.name))
    made = made or talk.demand(wanted)
    return Plan(calls=made) if made else plan


def _unprompted(manner: Manner, first: bool, seed: int) -> Plan:
    if manner.opening:
        return Plan(manner.opening)
    return Plan(_GREETINGS[seed % len(_GREETINGS)] if first else "Is there anything else?")


def _in_manner(plan: Plan, manner: Manner, first: bool) -> Plan:
    if manner.language and first and plan.text:
        return Plan(f"I can only speak English, not {manner.language}. {plan.text}", plan.calls)
    return plan
