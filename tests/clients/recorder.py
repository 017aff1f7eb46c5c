"""A relay between a client and the server that keeps every frame and changes none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PASSED_ON = ("authorization", "openai-beta", "openai-safety-identifier", "user-agent")
NO_STATUS = 1005


@lru_cache(maxsize=1)
def strict() -> TypeAdapter[Any]:
    """The official SDK's own types for what a server sends, strictly."""
    return TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


class Recording:
    """One connection.

    Attributes:
        path: that the client asked for, with its query.
        headers: that the client sent, names in lower case.
        frames: (">" from the client or "<" from the server, event), in order.
        close_code: of the client's close, None while it is open.
    """

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self.path = path
        self.headers = headers
        self.frames: list[tuple[str, dict[str, Any]]] = []
        self.close_code: int | None = None

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What the client sent."""
        return [event for direction, event in self.frames if direction == ">"]

    @property
    def received(self) -> list[dict[str, Any]]:
        """What the server sent."""
        return [event for direction, event in self.frames if direction == "<"]

    def of(self, *event_types: str) -> list[dict[str, Any]]:
        """Events of the server."""
        return [event for event in self.received if event["type"] in event_types]

    def asked(self, *event_types: str) -> list[dict[str, Any]]:
        """Events of the client."""
        return [event for event in self.sent if event["type"] in event_types]

    def audio_ms(self, item_id: str) -> float:
        """How much audio of an item the server sent."""
        deltas = (event for event in self.of("response.output_audio.delta") if event["item_id"] == item_id)
        return sum(len(base64.b64decode(event["delta"])) for event in deltas) / 48

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The responses that ended."""
        return [event["response"] for event in self.of("response.done")]


class Recorder:
    """Listens on loopback and relays to `upstream`.

    Args:
        upstream: the server's base URL, "http://127.0.0.1:PORT/v1".
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.replace("http", "ws", 1).removesuffix("/v1")
        self.recordings: list[Recording] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Recorder]:
        """Relay until the block ends."""
        async with serve(
            self._relay, "127.0.0.1", 0, select_subprotocol=_realtime, max_size=None, compression=None
        ) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"
            yield self

    async def _relay(self, client: ServerConnection) -> None:
        assert client.request is not None
        headers = {name.lower(): value for name, value in client.request.headers.raw_items()}
        recording = Recording(client.request.path, headers)
        self.recordings.append(recording)
        async with connect(
            self._upstream + client.request.path,
            additional_headers={name: headers[name] for name in PASSED_ON if name in headers},
            subprotocols=[Subprotocol(name) for name in _offered(headers)] or None,
            user_agent_header=None,
            max_size=None,
            compression=None,
        ) as server:
            await asyncio.gather(
                _pump(client, server, recording.frames, ">"), _pump(server, client, recording.frames, "<")
            )
        recording.close_code = client.protocol.close_rcvd.code if client.protocol.close_rcvd else 1006


async def _pump(source: Any, target: Any, kept: list[tuple[str, dict[str, Any]]], direction: str) -> None:
    try:
        async for frame in source:
            kept.append((direction, json.loads(frame)))
            await target.send(frame)
    except ConnectionClosed:
        pass
    close = source.protocol.close_rcvd
    code = close.code if close is not None and close.code != NO_STATUS else 1000
    await target.close(code, close.reason if close is not None else "")


def _realtime(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("realtime") if "realtime" in offered else None


def _offered(headers: dict[str, str]) -> list[str]:
    return [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]
