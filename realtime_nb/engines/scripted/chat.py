"""A chat model that answers by rules, by a function, or by repeating."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import anyio
import msgspec

from realtime_nb.engines.base import Capabilities, ChatDelta, ChatMessage, ChatRequest, TextDelta, ToolCall
from realtime_nb.engines.scripted.script import LICENCE, Script, ScriptedCrash, ScriptedDelays, Sleep

ChatReply = str | ToolCall | Sequence["str | ToolCall"]
ChatScript = Callable[[ChatRequest], ChatReply]
ChatRules = Sequence[tuple[str, "ChatReply | ChatScript"]]


class ScriptedChat(Script):
    """Answers by rules, by a function, or by repeating what was said.

    Args:
        script: a function of the request; or rules `(regular expression, reply)`, tried in order against the last
            message (what the user said, or a tool's output), whose reply may be a function too; None repeats.
            A reply is a text, a `ToolCall`, or a sequence of both. Where `tool_choice` demands a call and the reply
            has none, it is a call with made-up arguments.
    """

    capabilities = Capabilities(name="scripted-chat", licence=LICENCE, streaming=True, tools=True)

    def __init__(
        self,
        script: ChatRules | ChatScript | None = None,
        *,
        delays: ScriptedDelays | None = None,
        crashes: Iterable[ScriptedCrash] = (),
        seed: int = 0,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        super().__init__("scripted chat model", delays or ScriptedDelays(), crashes, seed, sleep)
        self._script = script
        self.requests: list[ChatRequest] = []
        """The last 100 requests, oldest first: what a test looks at."""

    async def reply(self, request: ChatRequest) -> AsyncIterator[ChatDelta]:
        call, rng = self.next_call()
        self.requests = [*self.requests[-99:], request]
        self.maybe_crash(call, 0)
        await self.pause(self.delays.first_token_ms, rng)
        answer = _with_forced_call(self._answer(request), request)
        for count, delta in enumerate(_deltas(answer, request.tool_choice), start=1):
            if count > 1:
                await self.pause(self.delays.per_word_ms, rng)
            yield delta
            self.maybe_crash(call, count)

    def _answer(self, request: ChatRequest) -> ChatReply:
        if callable(self._script):
            return self._script(request)
        last = next((m for m in reversed(request.messages) if m.role in ("user", "tool_output")), None)
        for pattern, reply in self._script or ():
            if last is not None and re.search(pattern, last.text, re.IGNORECASE):
                return reply(request) if callable(reply) else reply
        return _echo(last)


def _echo(last: ChatMessage | None) -> str:
    if last is None:
        return "Hello."
    return f"The tool said: {last.text}" if last.role == "tool_output" else f"You said: {last.text}."


def _with_forced_call(reply: ChatReply, request: ChatRequest) -> ChatReply:
    parts = [reply] if isinstance(reply, str | ToolCall) else list(reply)
    demanded = [tool for tool in request.tools if request.tool_choice in ("required", tool.name)]
    if not demanded or any(isinstance(part, ToolCall) for part in parts):
        return reply
    properties = demanded[0].parameters.get("properties") or {}
    wanted = demanded[0].parameters.get("required") or []
    arguments = {name: _made_up(name, properties.get(name) or {}) for name in wanted}
    return ToolCall(demanded[0].name, msgspec.json.encode(arguments).decode())


def _made_up(name: str, schema: dict[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    by_type: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    return by_type.get(str(schema.get("type")), name)


def _deltas(reply: ChatReply, tool_choice: str) -> list[ChatDelta]:
    parts = [reply] if isinstance(reply, str | ToolCall) else list(reply)
    deltas: list[ChatDelta] = []
    for part in parts:
        if isinstance(part, str):
            deltas += [TextDelta(piece) for piece in re.findall(r"\s*\S+|\s+$", part)]
        elif tool_choice != "none":
            deltas.append(part)
    return deltas
