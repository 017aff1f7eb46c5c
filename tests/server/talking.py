"""A bare client for tests: every frame it gets is judged by the SDK's types."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from realtime_nb.engines import scripted
from realtime_nb.engines.base import EngineSet, Pcm16
from realtime_nb.server.app import EmbeddedServer
from tests.protocol.strict import check_server_frame

FRAME_SAMPLES = 480
PATIENCE_S = 20.0
"""How long a test waits for something that must come; never how fast it must be."""


def tone(duration_ms: int, frequency_hz: int = 400) -> Pcm16:
    """Something that a detector by energy takes for speech."""
    times = np.arange(duration_ms * 24) / 24_000
    return (9000 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def silence(duration_ms: int) -> Pcm16:
    return np.zeros(duration_ms * 24, np.int16)


class Client:
    """One connection. `events` keeps everything received, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, event_type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": event_type, **fields}))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.socket.recv()
        check_server_frame(frame)
        event: dict[str, Any] = json.loads(frame)
        self.events.append(event)
        return event

    async def until(self, event_type: str, count: int = 1) -> dict[str, Any]:
        """Receive up to the count-th event of a type from here on, and return it."""
        while True:
            event = await self.receive()
            if event["type"] == event_type:
                count -= 1
                if not count:
                    return event

    async def update(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))["session"]

    async def say(self, text: str) -> None:
        """Create a typed user message."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    async def hear(self, *pieces: Pcm16, encode: Any = None) -> None:
        """Append audio in 20 ms frames, as fast as it goes."""
        pcm16 = np.concatenate(pieces)
        for start in range(0, len(pcm16), FRAME_SAMPLES):
            piece = pcm16[start : start + FRAME_SAMPLES]
            audio = piece.tobytes() if encode is None else encode(piece)
            await self.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    def of(self, *event_types: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] in event_types]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def audio(self, item_id: str | None = None) -> bytes:
        """All output audio received (of one item)."""
        deltas = self.of("response.output_audio.delta")
        return b"".join(base64.b64decode(d["delta"]) for d in deltas if item_id in (None, d["item_id"]))


@asynccontextmanager
async def serving(engines: EngineSet | None = None, **options: Any) -> AsyncIterator[EmbeddedServer]:
    """A server in this process, with scripted engines if none are given."""
    server = await EmbeddedServer.start(engines or scripted.create(), **options)
    try:
        yield server
    finally:
        await server.aclose()


@asynccontextmanager
async def connected(
    server: EmbeddedServer, query: str = "model=any", *, key: str | None = "", **options: Any
) -> AsyncIterator[Client]:
    """A client of `server` with its token, before `session.created`."""
    headers = {} if key is None else {"Authorization": f"Bearer {key or server.token}"}
    url = server.url.replace("http", "ws", 1) + f"/realtime?{query}"
    options = {"max_size": None, "max_queue": None, "compression": None, **options}
    async with connect(url, additional_headers=headers, **options) as socket:
        yield Client(socket)


def without(types: Iterable[str], *dropped: str) -> list[str]:
    """Types in order, repeats in a row folded, some left out."""
    kept: list[str] = []
    for one in types:
        if one not in dropped and (not kept or kept[-1] != one):
            kept.append(one)
    return kept
