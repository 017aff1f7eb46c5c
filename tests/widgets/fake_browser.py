"""A browser's end of the media link: a real WebSocket client (or the comm) that speaks the link messages."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime_nb.widgets import messages

PAGE = "http://localhost:8888"
STEP_TIMEOUT_S = 10.0


class FakeBrowser:
    """Says hello, answers pings, plays audio as told by the test, and keeps everything it got."""

    def __init__(self, offer: dict[str, Any], *, origin: str | None = PAGE, client_id: str = "", pongs: bool = True):
        self.offer = offer
        self.origin = origin
        self.client_id = client_id or uuid.uuid4().hex
        self.got: list[dict[str, Any]] = []
        self.audio: dict[int, bytearray] = {}
        self.close_code: int | None = None
        self.clock_ms: Callable[[], float] = lambda: 0.0
        self._pongs = pongs
        self._changed = asyncio.Condition()
        self._next_command = 1
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self, *, token: str | None = None, version: int = messages.LINK_VERSION) -> FakeBrowser:
        await self.open_socket()
        await self.send(
            type="hello",
            token=self.offer["token"] if token is None else token,
            client_id=self.client_id,
            version=version,
        )
        return self

    async def open_socket(self, *, through: str = "") -> None:
        """`through` is the host that a proxy was asked for and passes on."""
        port = self.offer["port"]
        self._socket = await connect(
            f"ws://{through or f'127.0.0.1:{port}'}/",
            host="127.0.0.1",
            port=port,
            origin=self.origin,
            compression=None,
            ping_interval=None,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        if self._socket is not None and self._reader is not None and not self._reader.done():
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    def cut(self) -> None:
        """Lose the network without a word."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def send(self, **message: Any) -> None:
        await self._send(json.dumps(message))

    async def send_binary(self, kind: int, stream_id: int, payload: bytes, sequence: int = 0) -> None:
        await self._send(messages.BINARY_HEADER.pack(kind, 0, 0, stream_id, sequence, 0.0) + payload)

    async def send_raw(self, data: str | bytes) -> None:
        await self._send(data)

    async def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        command_id = await self.start_command(name, **arguments)
        return await self.answer(command_id)

    async def start_command(self, name: str, **arguments: Any) -> int:
        command_id, self._next_command = self._next_command, self._next_command + 1
        await self.send(type="command", id=command_id, name=name, arguments=arguments)
        return command_id

    async def answer(self, command_id: int) -> dict[str, Any]:
        return await self.wait("command_result", lambda message: message["id"] == command_id)

    async def wait(self, kind: str, accept: Callable[[dict[str, Any]], bool] = lambda message: True) -> dict[str, Any]:
        """Wait until a message of that type arrived (it may have already)."""

        def find() -> dict[str, Any] | None:
            return next((m for m in self.got if m["type"] == kind and accept(m)), None)

        await self.until(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(STEP_TIMEOUT_S), self._changed:
            await self._changed.wait_for(condition)

    async def closed(self) -> int | None:
        assert self._reader is not None
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await self._reader
        return self.close_code

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == kind]

    async def _send(self, data: str | bytes) -> None:
        assert self._socket is not None
        await self._socket.send(data)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            while True:
                await self.take(await self._socket.recv())
        except ConnectionClosed as closed:
            self.close_code = closed.rcvd.code if closed.rcvd is not None else 1006
            async with self._changed:
                self._changed.notify_all()

    async def take(self, data: str | bytes) -> None:
        async with self._changed:
            if isinstance(data, bytes):
                _, _, _, stream_id, _, _ = messages.BINARY_HEADER.unpack_from(data)
                self.audio.setdefault(stream_id, bytearray()).extend(data[messages.BINARY_HEADER.size :])
            else:
                message = json.loads(data)
                self.got.append(message)
                if message["type"] == "ping" and self._pongs:
                    await self.send(type="pong", ping_id=message["ping_id"], time_client_ms=self.clock_ms())
            self._changed.notify_all()


class CommBrowser(FakeBrowser):
    """The same over the comm: messages go in by `feed(content, buffers)` and come out of `take_comm`."""

    def __init__(self, offer: dict[str, Any], feed: Callable[[dict[str, Any], list[bytes]], None], **options: Any):
        super().__init__(offer, **options)
        self._feed = feed

    async def open_socket(self, *, through: str = "") -> None:
        self._reader = None

    async def take_comm(self, content: dict[str, Any], buffers: list[bytes] | None) -> None:
        if content.get("type") != "link" or content.get("client_id") != self.client_id:
            return
        if "text" in content:
            await self.take(content["text"])
        for buffer in buffers or ():
            await self.take(buffer)

    async def _send(self, data: str | bytes) -> None:
        content = {"type": "link", "client_id": self.client_id}
        if isinstance(data, str):
            self._feed({**content, "text": data}, [])
        else:
            self._feed(content, [data])
