"""The course of a conversation: what is open, what was it about, what does the next message do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from realtime_nb.engines.base import ChatMessage, ChatTool, ToolCall
from realtime_nb.engines.brain import arguments
from realtime_nb.engines.brain import schema as schemas
from realtime_nb.engines.brain import tools as tooling
from realtime_nb.engines.brain.arguments import Evidence
from realtime_nb.engines.brain.corrections import cancels_it, names_another, requests_in, self_corrected, takes_back
from realtime_nb.engines.brain.demo import Fields, Scene, draw
from realtime_nb.engines.brain.instructions import Manner
from realtime_nb.engines.brain.intents import Intent, Reader, Reading
from realtime_nb.engines.brain.matcher import FUNCTION_WORDS
from realtime_nb.engines.brain.memory import Memory
from realtime_nb.engines.brain.questions import joined, question, spoken_name
from realtime_nb.engines.brain.slots import FINDERS, Utterance

ACCEPT = 0.7
"""Least similarity at which an intent is believed."""
STRONG = 0.8
"""Similarity at which an intent is believed even when something else was asked for."""
UNCLEAR_CONFIDENCE = 0.3
_MOST_TRIES = 3

_REPAIR = re.compile(
    r"^(?:(?:no|nope|sorry|wait|actually|not that)[\s,.]+)*"
    r"(?:i (?:said|meant|mean|asked(?: for| about)?|was asking (?:for|about))|make that|rather)\s+(.+)$",
    re.IGNORECASE,
)
_NOT_BUT = re.compile(r"^(?:no|nope|sorry|actually)[\s,.]+(.+)$", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"^(?:and|what about|how about|and what about|and for|and in|or)\s+(.+)$", re.IGNORECASE)
_REFERRING = frozenset(("it", "its", "that", "this", "he", "him", "his", "she", "her", "they", "them", "their"))
_CARRIED = ("city", "order_number", "customer")
"""Kinds of slots that a later question may leave out."""
_QUESTION = re.compile(
    r"^(?:please |can you |could you )*(?:what|who|whose|why|when|where|how|which|tell me|explain|do you know|describe|"
    r"write|translate|summarize|is|are|does|did|will|should)\b",
    re.IGNORECASE,
)
_UNCLEAR = (
    "I did not catch that. You can ask about an order, the weather, or your food log.",
    "Sorry, I did not get that. Try, for example: where is my order, or tell me a joke.",
    "That was not clear to me. Please say it another way, or say help.",
    "I could not match that. I know orders, customers, the weather, food, jokes and stories.",
)
_OPEN_QUESTION = (
    "I cannot answer that. I am a small offline matcher, not a language model. Ask about orders, weather or food.",
    "That is beyond me. I only match a few topics here, without a large model. Say help to hear them.",
)
_NO_EYES = "I cannot see images. I am a small offline matcher. A chat model with vision could look at it."


class Task(msgspec.Struct, frozen=True):
    """Something to be done: an intent, a tool, or both, and what was said about it."""

    intent: str | None
    tool: ChatTool | None
    evidence: tuple[Evidence, ...]
    asked: str | None = None
    tries: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What to answer: a text, or calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


class Dialogue:
    """One conversation, followed from its beginning message by message."""

    def __init__(
        self,
        reader: Reader,
        tools: Sequence[ChatTool],
        manner: Manner,
        *,
        seed: int,
        now: datetime,
    ) -> None:
        self.pending: Task | None = None
        self.topic: Task | None = None
        self.last_reply = ""
        self._reader = reader
        self._intents = reader.intents
        self._tools = tools
        self._manner = manner
        self._seed = seed
        self._now = now
        self._counts: Counter[str] = Counter()
        self._offer: str | None = None
        self._memory = Memory()
        self._said = ""

    def hear(self, message: ChatMessage) -> Plan:
        """Take the user's message in and return what to do about it."""
        if message.image_urls:
            return Plan(_NO_EYES)
        said = self_corrected(" ".join(message.text[:1000].split()))
        if message.confidence < UNCLEAR_CONFIDENCE or not Utterance(said).words:
            return self._unclear()
        plans: list[Plan] = []
        for request in self._requests(said):
            self._said = request
            offer, self._offer = self._offer, None
            negated = self._take_back() if not plans else None
            plans.append(
                negated or self._repair() or self._answer_open_question() or self._follow_up() or self._new(offer)
            )
            if self.pending is not None:
                break
        text = " ".join(plan.text for plan in plans if plan.text)
        return Plan(text, tuple(call for plan in plans for call in plan.calls))

    def _requests(self, said: str) -> list[str]:
        """Return the two things that `said` asks for if they are different ones, else all of it."""
        parts = requests_in(said)
        readings = [self._reader.read(part) for part in parts]
        served = [self._intents[reading.intent] for reading in readings if reading.similarity >= ACCEPT]
        able = len(served) == len(parts) == 2 and all(intent.slots or intent.tools for intent in served)
        return parts if able and readings[0].intent != readings[1].intent else [said]

    def demand(self, tool_name: str | None) -> tuple[ToolCall, ...]:
        """Return calls for the last thing said even if something is missing: the session demands one."""
        reading = self._reader.read(self._said)
        intent = self._intents[reading.intent] if reading.similarity >= ACCEPT else None
        open_tool = self.pending.tool if self.pending else None
        near, _ = tooling.named_in(reading.utterance, self._tools, self._reader)
        tool = next((tool for tool in self._tools if tool.name == tool_name), None)
        tool = tool or open_tool or (tooling.serving(intent, self._tools) if intent else None) or near or self._tools[0]
        evidence = self.pending.evidence if self.pending and open_tool is tool else ()
        made = arguments.demanded(tool, intent, (*evidence, Evidence(self._said)), self._reader)
        return tuple(ToolCall(tool.name, one) for one in made)

    def _take_back(self) -> Plan | None:
        """Hear "I did not have toast" as what it asks for."""
        things = FINDERS["items"](Utterance(self._said), False)
        noted = self.topic is not None and self.topic.intent in ("food_log", "order_place")
        if self.topic is None or not (noted and things and takes_back(self._said)):
            return None
        tool = tooling.serving(self._intents["food_remove"], self._tools)
        if tool is None and self.topic.tool is not None:
            return Plan("I cannot take that back. No tool of this session does it.")
        return self._pursue(Task("food_remove", tool, (Evidence(f"remove {things[0].name}"),)))

    def _repair(self) -> Plan | None:
        explicit = _REPAIR.match(self._said)
        match = explicit or _NOT_BUT.match(self._said)
        if match is None:
            return None
        rest = match.group(1)
        task = self.pending or self.topic
        rest = self._with_thing(task, rest) if task is not None else rest
        if task is not None and self._fills(task, rest, eager=bool(explicit)):
            asked = task.asked or self._first_slot(task)
            evidence = (*task.evidence, Evidence(rest, asked))
            return self._pursue(msgspec.structs.replace(task, evidence=evidence), "Sorry. ")
        reading = self._reader.read(rest)
        if explicit and reading.similarity >= ACCEPT:
            self._said = rest
            return self._start(reading, None)
        return None

    def _with_thing(self, task: Task, rest: str) -> str:
        """Return "four pizzas" for the "four" that corrects how many."""
        utterance = Utterance(rest)
        intent = self._intents[task.intent] if task.intent else None
        if intent is None or "items" not in intent.slots.values() or set(utterance.free.values()) != {"number"}:
            return rest
        things = _latest("", "items", task.evidence)
        counted = [thing for thing in things or () if thing.quantity > 1] or things
        return f"{utterance.numbers[-1].digits} {counted[-1].name}" if counted else rest

    def _answer_open_question(self) -> Plan | None:
        task = self.pending
        if task is None or task.asked is None:
            return None
        if cancels_it(self._said):
            self.pending = None
            return self._reply("never_mind", {})
        reading = self._reader.read(self._said)
        intent = self._intents[reading.intent]
        strong = reading.similarity >= STRONG
        if strong and reading.intent in ("never_mind", "stop", "bye", "no", "no_idea") and not reading.utterance.free:
            self.pending = None
            return None
        if intent.aside and strong:
            return self._reply(reading.intent, {})
        another = strong and reading.intent != task.intent and bool(intent.slots or intent.tools)
        another = another and not (
            reading.intent == "set_name" and self._kind(task, task.asked) in ("customer", "name")
        )
        if self._fills(task, self._said, eager=True) and not another:
            return self._pursue(
                msgspec.structs.replace(task, evidence=(*task.evidence, Evidence(self._said, task.asked)))
            )
        if reading.similarity >= ACCEPT and reading.intent != task.intent:
            self.pending = None
            return None
        return self._ask(msgspec.structs.replace(task, tries=task.tries + 1))

    def _follow_up(self) -> Plan | None:
        match = _FOLLOW_UP.match(self._said)
        if self.topic is None or not (match or len(self._said.split()) <= 4):
            return None
        rest = match.group(1) if match else self._said
        if not match and self._reader.read(self._said).similarity >= ACCEPT:
            return None
        if not self._fills(self.topic, rest, eager=False):
            return None
        asked = self._first_slot(self.topic) if match else None
        return self._pursue(msgspec.structs.replace(self.topic, evidence=(*self.topic.evidence, Evidence(rest, asked))))

    def _new(self, offer: str | None) -> Plan:
        return self._start(self._reader.read(self._said), offer)

    def _start(self, reading: Reading, offer: str | None) -> Plan:
        intent = self._intents[reading.intent]
        named, nearness = tooling.named_in(reading.utterance, self._tools, self._reader)
        evidence = (Evidence(self._said),)
        words = reading.utterance.words
        digits = "".join(number.digits for number in reading.utterance.numbers)
        bare = all(place in reading.utterance.free or word in FUNCTION_WORDS for place, word in enumerate(words))
        if len(digits) >= 3 and bare:
            tool = tooling.serving(self._intents["order_status"], self._tools)
            return self._pursue(Task("order_status", tool, evidence))
        if bare and set(reading.utterance.free.values()) == {"cities"}:
            return self._pursue(Task("weather", tooling.serving(self._intents["weather"], self._tools), evidence))
        if cancels_it(self._said) and self._carried("order_cancel"):
            tool = tooling.serving(self._intents["order_cancel"], self._tools)
            return self._pursue(Task("order_cancel", tool, self._carried("order_cancel")))
        if reading.similarity >= ACCEPT:
            if offer and reading.intent == "yes":
                return self._pursue(Task(offer, tooling.serving(self._intents[offer], self._tools), ()))
            tool = tooling.serving(intent, self._tools)
            if tool is not None or nearness < 1.0 or reading.similarity >= 0.9:
                return self._pursue(Task(reading.intent, tool, (*self._carried(reading.intent), *evidence)))
        if named is not None and nearness >= tooling.LEAST_SERVICE:
            return self._pursue(Task(None, named, evidence))
        if _QUESTION.match(self._said):
            search = tooling.answering(self._tools)
            return self._pursue(Task(None, search, evidence)) if search else self._cannot_answer()
        return self._unclear()

    def _carried(self, key: str) -> tuple[Evidence, ...]:
        """Return what was said of the topic if a question after `key` may leave it out: "and when will it arrive"."""
        if self.topic is None or self.topic.intent is None or names_another(self._said):
            return ()
        kinds, wanted = (self._intents[name].slots.values() for name in (self.topic.intent, key))
        shared = {kind for kind in _CARRIED if kind in kinds and kind in wanted}
        referring = _REFERRING & set(Utterance(self._said).words)
        return self.topic.evidence if "city" in shared or (shared and referring) else ()

    def _pursue(self, task: Task, opening: str = "") -> Plan:
        intent = self._intents[task.intent] if task.intent else None
        if task.tool is None:
            return self._pursue_alone(task, intent, opening)
        filled = arguments.fill(task.tool, intent, task.evidence, self._reader)
        if filled.missing is not None:
            return self._ask(msgspec.structs.replace(task, asked=filled.missing), opening)
        made = arguments.calls(task.tool, intent, task.evidence, filled)
        self.pending, self.topic = None, msgspec.structs.replace(task, asked=None, tries=0)
        if not made:
            return Plan(f"I cannot use that tool. The parameters of {spoken_name(task.tool.name)} are beyond me.")
        return Plan(calls=tuple(ToolCall(task.tool.name, one) for one in made))

    def _pursue_alone(self, task: Task, intent: Intent | None, opening: str) -> Plan:
        if intent is None or task.intent is None:
            return self._unclear()
        values: dict[str, Any] = {}
        for name, kind in {**intent.slots, **intent.optional}.items():
            value = _latest(name, kind, task.evidence)
            if value is not None:
                values[name] = value
            elif name in intent.slots:
                return self._ask(msgspec.structs.replace(task, asked=name), opening)
        if not intent.aside:
            self.pending = None
        if intent.slots:
            self.topic = msgspec.structs.replace(task, asked=None, tries=0)
        several = self._several(intent, values, task.evidence[-1].text) if task.evidence else []
        if not several:
            return self._reply(task.intent, values, opening)
        return Plan(" ".join(self._reply(task.intent, one).text for one in several))

    def _several(self, intent: Intent, values: dict[str, Any], said: str) -> list[dict[str, Any]]:
        """Return the values for each of up to three cities or orders named at once."""
        for name, kind in intent.slots.items():
            found = list(dict.fromkeys(FINDERS[kind](Utterance(said), False))) if kind in _CARRIED[:2] else []
            if len(found) > 1:
                return [values | {name: one} for one in found[:3]]
        return []

    def _reply(self, key: str, values: dict[str, Any], opening: str = "") -> Plan:
        intent = self._intents[key]
        ordering = self.topic is not None and self.topic.intent == "order_place"
        self._memory.note(key, values, self._said, correcting=bool(opening), ordering=ordering)
        self._offer = intent.offers
        if key == "what_can_you_do" and self._tools:
            return Plan(
                f"I can use your tools. They are {joined([spoken_name(tool.name) for tool in self._tools[:5]])}."
            )
        template = self._vary(key, intent.replies)
        scene = Scene(
            said=self._said,
            values=values,
            last_reply=self.last_reply,
            person=self._memory.person,
            assistant=self._manner.name,
            eaten=self._memory.eaten,
            ordered=self._memory.ordered,
            seed=self._seed,
            now=self._now,
        )
        text = template.format_map(Fields(scene))
        return Plan(opening + text[:1].upper() + text[1:])

    def _ask(self, task: Task, opening: str = "") -> Plan:
        if task.tries >= _MOST_TRIES:
            self.pending = None
            return Plan("I still did not get it. Let us leave that. What else can I do?")
        self.pending = task
        name = task.asked or ""
        intent = self._intents[task.intent] if task.intent else None
        kind = self._kind(task, name)
        known = next((slot for slot, known in intent.slots.items() if known == kind), None) if intent else None
        if intent and known and known in intent.ask:
            asking, hint = self._vary(f"ask {task.intent}", intent.ask[known]), intent.hint.get(known, "")
        else:
            asking, hint = question(name, kind, task.tool), ""
        if task.tries:
            return Plan(f"Sorry, I did not get that. {hint} {asking}".replace("  ", " "))
        return Plan(opening + asking)

    def _unclear(self) -> Plan:
        if self.pending is not None:
            return self._ask(msgspec.structs.replace(self.pending, tries=self.pending.tries + 1))
        return Plan(self._vary("unclear", _UNCLEAR))

    def _cannot_answer(self) -> Plan:
        return Plan(self._vary("open question", _OPEN_QUESTION))

    def _vary(self, key: str, variants: Sequence[str]) -> str:
        if self._manner.brief:
            return min(variants, key=len)
        start = draw(self._seed, key)
        chosen = variants[(start + self._counts[key]) % len(variants)]
        self._counts[key] += 1
        return chosen

    def _kind(self, task: Task, name: str) -> str | None:
        intent = self._intents[task.intent] if task.intent else None
        if task.tool is not None:
            return arguments.kind_of(name, intent)
        return {**intent.slots, **intent.optional}.get(name) if intent else None

    def _first_slot(self, task: Task) -> str | None:
        if task.tool is not None:
            known, required = schemas.properties_of(task.tool.parameters)
            return next(iter(required), next(iter(known), None))
        return next(iter(self._intents[task.intent].slots), None) if task.intent else None

    def _fills(self, task: Task, text: str, *, eager: bool) -> bool:
        """Whether `text` alone gives a value that `task` can use."""
        asked = (task.asked or self._first_slot(task)) if eager else None
        if task.tool is not None:
            intent = self._intents[task.intent] if task.intent else None
            values = arguments.fill(task.tool, intent, (Evidence(text, asked),), self._reader).values
            telling = {name for name in values if arguments.kind_of(name, intent) != "text" or name == asked}
            return asked in values if asked and task.asked else bool(telling)
        intent = self._intents[task.intent] if task.intent else None
        kinds = {**intent.slots, **intent.optional} if intent else {}
        kinds = {asked: kinds[asked]} if asked in kinds and task.asked else kinds
        return any(FINDERS[kind](Utterance(text), name == asked) for name, kind in kinds.items())


def _latest(name: str, kind: str, evidence: Sequence[Evidence]) -> Any:
    for one in reversed(evidence):
        found = FINDERS[kind](Utterance(one.text), one.asked == name)
        if found:
            return found if kind == "items" else found[0]
    return None
