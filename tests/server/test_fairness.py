"""One client that floods its connection does not starve another: the reader lets others have their turn."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from realtime_nb.engines import scripted
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.server import app
from realtime_nb.server.limits import Limits
from realtime_nb.server.realtime import RealtimeConnection
from realtime_nb.server.token_bucket import TokenBucket
from tests.server.talking import connected, serving

pytestmark = pytest.mark.anyio

FLOOD = 2000
APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA"})
CLEAR = json.dumps({"type": "input_audio_buffer.clear"})


class Socket:
    """A WebSocket whose frames are all here already: `receive` never waits until they are used up."""

    def __init__(self, frames: list[str]) -> None:
        self.frames = frames
        self.read = 0
        self.sent: list[str] = []
        self.gone = asyncio.Event()
        self.scope: dict[str, Any] = {"state": {"abort": lambda: None}}

    async def receive(self) -> dict[str, Any]:
        if self.read == len(self.frames):
            await self.gone.wait()
            return {"type": "websocket.disconnect", "code": 1000}
        self.read += 1
        return {"type": "websocket.receive", "text": self.frames[self.read - 1]}

    async def send_text(self, frame: str) -> None:
        self.sent.append(json.loads(frame)["type"])

    async def close(self, code: int = 1000, reason: str = "") -> None:
        return


async def test_a_flood_of_small_frames_does_not_starve_another_session() -> None:
    engines = scripted.create()
    await engines.start()
    limits = Limits()
    flooding, polite = Socket([APPEND] * FLOOD), Socket([CLEAR] * 5)

    def connection(socket: Socket) -> RealtimeConnection:
        bucket = TokenBucket(limits.tokens_per_minute)
        return RealtimeConnection(socket, engines, SessionConfig(), limits=limits, bucket=bucket)  # type: ignore[arg-type]

    running = [asyncio.create_task(connection(socket).run()) for socket in (flooding, polite)]
    try:
        async with asyncio.timeout(20):
            while polite.sent.count("input_audio_buffer.cleared") < 5:
                await asyncio.sleep(0)
        read_meanwhile = flooding.read
        async with asyncio.timeout(20):
            while flooding.read < FLOOD:
                await asyncio.sleep(0)
    finally:
        for socket in (flooding, polite):
            socket.gone.set()
        await asyncio.wait(running)
        await engines.aclose()
    assert read_meanwhile < FLOOD / 10


async def test_reading_stops_for_a_client_that_floods_and_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = 0

    class Counting(app._WebSocketProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            stop = self.transport.pause_reading

            def counted() -> None:
                nonlocal stopped
                stopped += 1
                stop()

            monkeypatch.setattr(self.transport, "pause_reading", counted)

    monkeypatch.setattr(app, "_WebSocketProtocol", Counting)
    async with serving() as server, connected(server) as client:
        for _ in range(20):
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
        assert stopped == 0
        for _ in range(300):
            await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared", count=300)
        assert stopped > 0
