"""A chat model that a test scripts, behind the `/v1/chat/completions` that `realtime-nb serve --chat` talks to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

HOLD = object()
"""In an answer: say nothing more until the reader goes away."""


@dataclass(frozen=True)
class Call:
    """A tool call in an answer."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


Answer = Sequence[Any]
"""Texts, `Call`s and `HOLD`."""


class ChatStub:
    """Answers as `answer` says.

    Attributes:
        answer: gets the request's body; replaced by each test.
        requests: every body, oldest first, also those of drafts that the server threw away.
        url: the base URL.
        dropped: how many answers were not read to their end.
    """

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Answer] = lambda request: [f"You said: {last_words(request)}."]
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self.dropped = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ChatStub]:
        """Serve until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            if head.startswith("GET "):
                data = json.dumps({"object": "list", "data": [{"id": "stub", "object": "model"}]}).encode()
                writer.write(_head("application/json") + data)
            else:
                await self._stream(json.loads(body), reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.dropped += 1
        finally:
            writer.close()

    async def _stream(
        self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.requests.append(request)
        writer.write(_head("text/event-stream"))
        for number, piece in enumerate(self.answer(request)):
            if piece is HOLD:
                await writer.drain()
                await reader.read()
                self.dropped += 1
                return
            if isinstance(piece, Call):
                function = {"name": piece.name, "arguments": json.dumps(piece.arguments)}
                call = {"index": number, "id": f"stub_{number}", "type": "function", "function": function}
                writer.write(_chunk({"tool_calls": [call]}))
            else:
                for word in re.findall(r"\s*\S+", str(piece)):
                    writer.write(_chunk({"content": word}))
        writer.write(_chunk({}, finish="stop") + b"data: [DONE]\n\n")


def calling(call: Call, then: str | None = None) -> Callable[[dict[str, Any]], Answer]:
    """An answer that makes a call, and after it says `then`, or what the tool gave."""

    def answer(request: dict[str, Any]) -> Answer:
        last = last_message(request)
        return [then or last["content"]] if last["role"] == "tool" else [call]

    return answer


def last_message(request: dict[str, Any]) -> dict[str, Any]:
    """The newest message that is not the system's."""
    return [message for message in request["messages"] if message["role"] != "system"][-1]


def last_words(request: dict[str, Any]) -> str:
    """What it says."""
    return str(last_message(request)["content"])


def assistant_words(request: dict[str, Any]) -> list[str]:
    """What the model is told that it said."""
    return [m["content"] for m in request["messages"] if m["role"] == "assistant" and m.get("content")]


def _head(kind: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "stub", "object": "chat.completion.chunk", "created": 0, "model": "stub", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()
