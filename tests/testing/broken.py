"""A good server with one thing wrong: a proxy that spoils what passes through it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode

Event = dict[str, Any]


class Fault:
    """Nothing wrong. Subclasses spoil one direction; one instance serves one connection.

    Attributes:
        deaf: pings are not answered.
    """

    deaf = False

    def to_client(self, event: Event) -> list[Event]:
        """Return what the client gets instead of a server's event."""
        return [event]

    def to_server(self, event: Event) -> tuple[bool, list[Event]]:
        """Return whether the server gets a client's event, and what the client is answered at once."""
        return True, []


class Spoiled(Fault):
    """Server events of one type are replaced by what `spoil` returns."""

    def __init__(self, event_type: str, spoil: Callable[[Event], list[Event]]) -> None:
        self._event_type = event_type
        self._spoil = spoil

    def to_client(self, event: Event) -> list[Event]:
        return self._spoil(event) if event["type"] == self._event_type else [event]


class Swallowed(Fault):
    """Client events of one type never arrive; `answer` makes up what the server would say."""

    def __init__(self, event_type: str, answer: Callable[[Event], list[Event]]) -> None:
        self._event_type = event_type
        self._answer = answer

    def to_server(self, event: Event) -> tuple[bool, list[Event]]:
        return (False, self._answer(event)) if event.get("type") == self._event_type else (True, [])


@asynccontextmanager
async def spoiling(url: str, token: str, fault: Callable[[], Fault]) -> AsyncIterator[str]:
    """Serve what `url` serves, spoiled; the base URL of the proxy."""

    async def pump(socket: ServerConnection) -> None:
        assert socket.request is not None
        upstream = url.replace("http", "ws", 1) + socket.request.path.removeprefix("/v1")
        spoiler = fault()
        if spoiler.deaf:
            _answer_no_ping(socket)
        key = {"Authorization": f"Bearer {token}"}
        async with connect(upstream, additional_headers=key, max_size=None, compression=None) as server:
            back = asyncio.create_task(_back(server, socket, spoiler))
            try:
                async for frame in socket:
                    await _forward(frame, server, socket, spoiler)
            except ConnectionClosed:
                pass
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)

    async with serve(pump, "127.0.0.1", 0, max_size=None, compression=None) as proxy:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/v1"


def _answer_no_ping(socket: ServerConnection) -> None:
    send = socket.protocol.send_frame

    def deafly(frame: Any) -> None:
        if frame.opcode is not Opcode.PONG:
            send(frame)

    socket.protocol.send_frame = deafly


async def _forward(frame: str | bytes, server: Any, socket: ServerConnection, spoiler: Fault) -> None:
    try:
        event = json.loads(frame)
        passed, answers = spoiler.to_server(event) if isinstance(event, dict) else (True, [])
    except ValueError:
        passed, answers = True, []
    for answer in answers:
        await socket.send(json.dumps({"event_id": f"event_made_up_{id(answer)}", **answer}))
    if passed:
        await server.send(frame)


async def _back(server: Any, socket: ServerConnection, spoiler: Fault) -> None:
    try:
        async for frame in server:
            for event in spoiler.to_client(json.loads(frame)):
                await socket.send(json.dumps(event))
        await socket.close(server.close_code or 1000, server.close_reason or "")
    except ConnectionClosed:
        pass
