"""The kernel's side of the media link: one loopback server per kernel, one `MediaLink` per widget.

A browser asks by comm (which Jupyter authenticates) and is told port and token; it then says hello on the WebSocket,
or, where that cannot be reached, on the comm itself. Everything here lives on the runtime loop.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec

from realtime_nb.errors import ConnectionLost
from realtime_nb.runtime import Runtime
from realtime_nb.timing.clock import monotonic_ms
from realtime_nb.transport.websocket_server import LoopbackServer, ServerSocket
from realtime_nb.widgets import messages
from realtime_nb.widgets.comm_socket import CommSocket
from realtime_nb.widgets.link_client import BinaryFrame, LinkClient, LinkSocket, Transport

__all__ = ["LinkHub", "LinkListener", "MediaLink", "hub", "measured_links"]

HELLO_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_CLIENTS = 8
MAX_ORIGINS = 16
SILENT_COMM_S = 5.0
CLOSE_UNAUTHORIZED = 4401
CLOSE_REPLACED = 4409
CLOSE_VERSION = 4426

logger = logging.getLogger(__name__)

_decode_hello = msgspec.json.Decoder(messages.Hello).decode


class LinkListener(Protocol):
    """What a widget does with its link. Called on the runtime loop; must not block."""

    def on_join(self, client: LinkClient) -> None:
        """A view is up: tell it what it missed."""

    def on_leave(self, client: LinkClient) -> None:
        """A view is gone."""

    def on_active(self, client: LinkClient | None) -> None:
        """Another view (or none) carries the audio now."""

    def on_message(self, client: LinkClient, message: messages.Message) -> None:
        """A text message of a view."""

    def on_binary(self, client: LinkClient, frame: BinaryFrame) -> None:
        """A binary message of a view."""


class LinkHub:
    """The loopback server that all links of a kernel share; it listens while there is a link.

    Args:
        allow_missing_origin: let clients without an `Origin` header in (not browsers; for tests).
        hello_timeout_s: how long a connection may stay without its first message.
    """

    def __init__(self, *, allow_missing_origin: bool = False, hello_timeout_s: float = HELLO_TIMEOUT_S) -> None:
        self._allow_missing_origin = allow_missing_origin
        self._hello_timeout_s = hello_timeout_s
        self._links: dict[str, MediaLink] = {}
        self._starting = asyncio.Lock()
        self._server = LoopbackServer(self._greet, allow_origin=self._allow_origin, max_message_bytes=MAX_MESSAGE_BYTES)

    @property
    def port(self) -> int:
        """The port it listens on, 0 when it does not."""
        return self._server.port

    async def register(self, link: MediaLink) -> None:
        """Let a link's token in, listening from now on. Where no port can be had, views come by comm."""
        self._links[link.token] = link
        async with self._starting:
            try:
                await self._server.start()
            except OSError as problem:
                logger.warning("No port of this machine can be listened on (%s); views use the comm.", problem)

    async def unregister(self, link: MediaLink) -> None:
        """Forget a link; without any the server stops."""
        self._links.pop(link.token, None)
        async with self._starting:
            if not self._links:
                await self._server.close()

    async def close(self) -> None:
        """Close every link and the server. Idempotent."""
        for link in list(self._links.values()):
            await link.close()
        async with self._starting:
            await self._server.close()

    def measured(self) -> list[messages.LinkMeasured]:
        """The links of all views."""
        return [client.measured() for link in self._links.values() for client in link.clients.values()]

    def _allow_origin(self, origin: str | None) -> bool:
        if origin is None:
            return self._allow_missing_origin
        return any(origin in link.origins for link in self._links.values())

    async def _greet(self, socket: ServerSocket) -> None:
        try:
            async with asyncio.timeout(self._hello_timeout_s):
                hello = await _receive_hello(socket)
        except TimeoutError:
            await socket.close(CLOSE_UNAUTHORIZED, f"No hello within {self._hello_timeout_s:g} s.")
            return
        link = self._find(hello.token) if hello is not None else None
        if hello is None or link is None or (socket.origin is not None and socket.origin not in link.origins):
            await _refuse(
                socket,
                CLOSE_UNAUTHORIZED,
                "This page has no valid token for the kernel's media link.",
                "Reload the page, or run the widget's cell again.",
            )
            return
        await link.serve(socket, hello, "proxy" if socket.proxied else "direct")

    def _find(self, token: str) -> MediaLink | None:
        found = None
        for known, link in self._links.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = link
        return found


class MediaLink:
    """All views of one widget. One of them is active: it alone carries audio.

    Args:
        hub: the kernel's server.
        listener: the widget's reactions.
        clock_ms: the session clock that `LinkMeasured.offset_ms` maps to; can be set later.
        ping_interval_s: time between pings.
    """

    def __init__(
        self,
        hub: LinkHub,
        listener: LinkListener,
        *,
        clock_ms: Callable[[], float] = monotonic_ms,
        ping_interval_s: float = 1.0,
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self.origins: dict[str, None] = {}
        self.clients: dict[str, LinkClient] = {}
        self.active: LinkClient | None = None
        self.clock_ms = clock_ms
        self.closed = False
        self._hub = hub
        self._listener = listener
        self._ping_interval_s = ping_interval_s
        self._comm_sockets: dict[str, CommSocket] = {}
        self._serving: set[asyncio.Task[Any]] = set()

    async def offer(self, client_id: str, page_origin: str) -> dict[str, Any]:
        """Answer a view's `link_request`: learn its page's origin, tell where to come and the token."""
        if page_origin and page_origin != "null":
            self.origins.pop(page_origin, None)
            self.origins[page_origin] = None
            while len(self.origins) > MAX_ORIGINS:
                self.origins.pop(next(iter(self.origins)))
        if not self.closed:
            await self._hub.register(self)
        return {"type": "link_offer", "client_id": client_id, "port": self._hub.port, "token": self.token}

    def broadcast(self, message: messages.Message) -> None:
        """Send to every view."""
        for client in self.clients.values():
            client.send(message)

    def activate(self, client_id: str) -> None:
        """Let another view carry the audio."""
        client = self.clients.get(client_id)
        if client is not None:
            self._set_active(client)

    def receive_comm(
        self, content: dict[str, Any], buffers: list[bytes], send: Callable[[dict[str, Any], list[bytes] | None], None]
    ) -> None:
        """Take a `link` or `link_bye` message that came by comm."""
        client_id = str(content.get("client_id", ""))
        socket = self._comm_sockets.get(client_id)
        if content.get("type") == "link_bye":
            if socket is not None:
                socket.end()
            return
        text = content.get("text")
        if isinstance(text, str):
            hello = _hello_or_none(text)
            if hello is not None:
                if socket is not None:
                    socket.end()
                self._end_silent_comm_views()
                socket = self._comm_sockets[client_id] = CommSocket(client_id, send)
                self._spawn(self._serve_comm(socket, hello))
                return
        if socket is None:
            return
        for data in ([text] if isinstance(text, str) else []) + buffers:
            socket.feed(data)

    async def serve(self, socket: LinkSocket, hello: messages.Hello, transport: Transport) -> None:
        """Let a view in and stay with it until it leaves."""
        refusal = self._refusal(hello)
        if refusal is not None:
            await _refuse(socket, *refusal)
            return
        client = LinkClient(
            hello.client_id,
            socket,
            transport,
            session_offset_ms=lambda: self.clock_ms() - monotonic_ms(),
            ping_interval_s=self._ping_interval_s,
        )
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._join(client)
        try:
            await client.run(lambda message: self._dispatch(client, message))
        finally:
            self._leave(client)
            self._serving.discard(task)

    async def close(self) -> None:
        """End every view's link and stop listening for this widget. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for client in list(self.clients.values()):
            client.end(1000, "The widget was closed.")
        serving = self._serving - {asyncio.current_task()}
        if serving:
            await asyncio.wait(serving, timeout=CLOSE_TIMEOUT_S)
        await self._hub.unregister(self)

    def _refusal(self, hello: messages.Hello) -> tuple[int, str, str] | None:
        if self.closed:
            return 1001, "This widget was closed.", "Run its cell again."
        if hello.version != messages.LINK_VERSION:
            return (
                CLOSE_VERSION,
                f"Front end (link {hello.version}) and Python package (link {messages.LINK_VERSION}) do not match.",
                "Reload the page after upgrading realtime-nb; restart the kernel if that is not enough.",
            )
        if len(self.clients) >= MAX_CLIENTS and hello.client_id not in self.clients:
            return 1013, f"{MAX_CLIENTS} views of this widget are open already.", "Close one of them."
        return None

    def _join(self, client: LinkClient) -> None:
        former = self.clients.pop(client.client_id, None)
        if former is not None:
            former.end(CLOSE_REPLACED, "The view has come back by another way.")
        self.clients[client.client_id] = client
        becomes_active = self.active is None or self.active is former
        client.send(messages.Ready(client_id=client.client_id, active=becomes_active))
        if former is not None:
            self._listener.on_leave(former)
        if becomes_active:
            self.active = client
        self._listener.on_join(client)
        if becomes_active:
            self._listener.on_active(client)

    def _leave(self, client: LinkClient) -> None:
        if self.clients.get(client.client_id) is not client:
            return
        del self.clients[client.client_id]
        self._listener.on_leave(client)
        if self.active is client:
            self.active = None
            self._set_active(next(iter(self.clients.values()), None))

    def _set_active(self, client: LinkClient | None) -> None:
        former = self.active
        if client is former and client is not None:
            return
        self.active = client
        if former is not None and former.client_id in self.clients:
            former.send(messages.Active(active=False))
        if client is not None:
            client.send(messages.Active(active=True))
        self._listener.on_active(client)

    def _dispatch(self, client: LinkClient, message: messages.Message | BinaryFrame) -> None:
        if self.clients.get(client.client_id) is not client:
            return
        if isinstance(message, BinaryFrame):
            self._listener.on_binary(client, message)
        else:
            self._listener.on_message(client, message)

    async def _serve_comm(self, socket: CommSocket, hello: messages.Hello) -> None:
        try:
            await self.serve(socket, hello, "comm")
        finally:
            if self._comm_sockets.get(socket.client_id) is socket:
                del self._comm_sockets[socket.client_id]

    def _end_silent_comm_views(self) -> None:
        """A view says no goodbye by comm; that another's message got through shows that this one's would have."""
        for client in self.clients.values():
            if client.transport == "comm" and client.silent_s > SILENT_COMM_S:
                client.end(1000, "Another view came and this one has been silent.")

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)


_hubs: WeakKeyDictionary[Runtime, LinkHub] = WeakKeyDictionary()


def hub(runtime: Runtime) -> LinkHub:
    """The runtime's `LinkHub`, made on first use and closed with it. Call on the runtime loop."""
    found = _hubs.get(runtime)
    if found is None:
        found = _hubs[runtime] = LinkHub()
        runtime.on_stop(found.close)
    return found


async def measured_links(runtime: Runtime) -> list[messages.LinkMeasured]:
    """How every open view reaches this kernel, and how fast. Call on the runtime loop."""
    found = _hubs.get(runtime)
    return found.measured() if found is not None else []


def _hello_or_none(text: str) -> messages.Hello | None:
    try:
        return _decode_hello(text)
    except msgspec.MsgspecError:
        return None


async def _receive_hello(socket: LinkSocket) -> messages.Hello | None:
    data = await socket.receive()
    return _hello_or_none(data) if isinstance(data, str) else None


async def _refuse(socket: LinkSocket, code: int, reason: str, what_now: str) -> None:
    try:
        await socket.send(msgspec.json.encode(messages.Refused(reason=reason, what_now=what_now)).decode())
    except ConnectionLost:
        return
    await socket.close(code, reason)
