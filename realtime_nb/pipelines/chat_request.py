"""One answer of `/v1/chat/completions`, whole or streamed, through as many calls of functions as it takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from realtime_nb.session.tools import Toolbox

from .tool_use import MAX_ROUNDS, chat_definitions, use_tool
from .turn_run import StageFailed, TurnRun

TOO_MANY_CALLS = "The chat model went on calling functions without an answer."


class ChatAnswer:
    """What came back so far.

    Attributes:
        added: the messages to put into the history, calls and outputs included, without the final answer.
        text: the answer's words that were no sound.
        audio_id: of a spoken answer, "" when it has none.
        audio_transcript: a spoken answer's words.
        expires_at: until when the server knows `audio_id`, Unix time.
    """

    def __init__(self) -> None:
        self.added: list[dict[str, Any]] = []
        self.text = ""
        self.audio_id = ""
        self.audio_transcript = ""
        self.expires_at = 0

    def take_audio(self, audio: Any) -> tuple[str, str]:
        """Take the `audio` of a delta; return (base64 data, transcript)."""
        part = audio if isinstance(audio, dict) else audio.model_dump()
        self.audio_id = part.get("id") or self.audio_id
        self.expires_at = part.get("expires_at") or self.expires_at
        transcript = part.get("transcript") or ""
        self.audio_transcript += transcript
        return part.get("data") or "", transcript


class ChatRequest:
    """A conversation with a chat model about one question.

    Args:
        sdk: the official client.
        turn: is told of function calls and usage.
        toolbox: what the model may call.
        request: what every call says besides messages: model, modalities, …
    """

    def __init__(self, sdk: Any, turn: TurnRun, toolbox: Toolbox, request: dict[str, Any]) -> None:
        self._sdk = sdk
        self._turn = turn
        self._toolbox = toolbox
        self._request = request
        if len(toolbox):
            self._request = {**request, "tools": chat_definitions(toolbox)}

    async def whole(self, messages: list[dict[str, Any]], answer: ChatAnswer) -> str:
        """Return the answer's text when all of it is there."""
        for _ in range(MAX_ROUNDS):
            completion = await self._sdk.chat.completions.create(messages=[*messages, *answer.added], **self._request)
            self._turn.used("chat", completion.usage)
            message = completion.choices[0].message
            if not message.tool_calls:
                self._turn.speaks_after_tools()
                answer.text = message.content or ""
                return answer.text
            calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]
            await self._use_tools(calls, answer)
        raise StageFailed(TOO_MANY_CALLS, what_now="Give it fewer tools.")

    async def deltas(self, messages: list[dict[str, Any]], answer: ChatAnswer) -> AsyncGenerator[Any, None]:
        """Yield the deltas of the final answer as they come. Close it to stop the request."""
        for _ in range(MAX_ROUNDS):
            calls: dict[int, list[str]] = {}
            stream = await self._sdk.chat.completions.create(
                messages=[*messages, *answer.added],
                stream=True,
                stream_options={"include_usage": True},
                **self._request,
            )
            async with stream:
                async for chunk in stream:
                    self._turn.used("chat", chunk.usage)
                    if not chunk.choices:
                        continue
                    delta = chunk.choices[0].delta
                    if delta.tool_calls:
                        _collect_calls(calls, delta.tool_calls)
                        self._turn.tool_called()
                    else:
                        yield delta
            if not calls:
                return
            await self._use_tools([(call[0], call[1], call[2]) for call in calls.values()], answer)
        raise StageFailed(TOO_MANY_CALLS, what_now="Give it fewer tools.")

    async def _use_tools(self, calls: list[tuple[str, str, str]], answer: ChatAnswer) -> None:
        self._turn.tool_called()
        asked = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ]
        answer.added.append({"role": "assistant", "content": None, "tool_calls": asked})
        for call_id, name, arguments in calls:
            use = await use_tool(self._toolbox, name, arguments)
            answer.added.append({"role": "tool", "tool_call_id": call_id, "content": use.output})
            self._turn.tool_answered(use)


def _collect_calls(calls: dict[int, list[str]], pieces: list[Any]) -> None:
    for piece in pieces:
        call = calls.setdefault(piece.index, ["", "", ""])
        call[0] = piece.id or call[0]
        if piece.function is not None:
            call[1] += piece.function.name or ""
            call[2] += piece.function.arguments or ""
