"""A WebSocket server on the loopback interface: the door for a browser on this machine, or for a proxy."""

from __future__ import annotations

import http
import logging
from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from realtime_nb.errors import ConnectionLost

__all__ = ["LoopbackServer", "ServerSocket"]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())


class ServerSocket:
    """One accepted connection.

    Attributes:
        origin: the page's origin as the browser stated it.
        proxied: whether a proxy stands between; it passes the `Host` on that the browser asked for, which is not ours.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        headers = _request_headers(connection)
        self.origin = headers.get("Origin")
        port = connection.local_address[1]
        self.proxied = headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}")

    async def receive(self) -> str | bytes:
        """Wait for the next message. Cancellation-safe.

        Raises:
            ConnectionLost: the connection ended (well or not; see `code`).
        """
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def send(self, data: str | bytes) -> None:
        """Send one message, waiting while the peer does not read.

        Raises:
            ConnectionLost: the connection ended.
        """
        try:
            await self._connection.send(data)
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a code and a reason (at most 123 bytes of UTF-8). Idempotent."""
        await self._connection.close(code, reason.encode()[:123].decode(errors="ignore"))


class LoopbackServer:
    """Listens on 127.0.0.1; one `handler` call per accepted connection.

    Args:
        handler: runs for as long as its connection lives; the connection is closed when it returns.
        allow_origin: decides on the `Origin` header (None when absent) before the WebSocket opens; False answers 403.
        max_message_bytes: a larger incoming message closes the connection with code 1009.
        port: where to listen; 0 for any free one.
        subprotocols: accepted when a client offers them.
    """

    def __init__(
        self,
        handler: Callable[[ServerSocket], Awaitable[None]],
        *,
        allow_origin: Callable[[str | None], bool],
        max_message_bytes: int,
        port: int = 0,
        subprotocols: Sequence[str] = (),
    ) -> None:
        self._handler = handler
        self._allow_origin = allow_origin
        self._max_message_bytes = max_message_bytes
        self._port = port
        self._subprotocols = [Subprotocol(one) for one in subprotocols]
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on, 0 when it does not."""
        return next(iter(self._server.sockets)).getsockname()[1] if self._server is not None else 0

    async def start(self) -> None:
        """Begin to listen. Idempotent."""
        if self._server is not None:
            return
        self._server = await serve(
            self._accept,
            "127.0.0.1",
            self._port,
            select_subprotocol=self._chosen,
            process_request=self._check_origin,
            compression=None,
            max_size=self._max_message_bytes,
            ping_interval=None,
            close_timeout=1.0,
            server_header=None,
            logger=logger,
        )

    async def close(self) -> None:
        """Stop listening, close every connection and wait for their handlers. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _accept(self, connection: ServerConnection) -> None:
        try:
            await self._handler(ServerSocket(connection))
        except ConnectionLost:
            return

    def _chosen(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((one for one in offered if one in self._subprotocols), None)

    def _check_origin(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._allow_origin(request.headers.get("Origin")):
            return None
        return connection.respond(http.HTTPStatus.FORBIDDEN, "This page may not open this link.\n")


def _request_headers(connection: ServerConnection) -> Headers:
    return connection.request.headers if connection.request is not None else Headers()


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    frame = closed.rcvd or closed.sent
    code, reason = (frame.code, frame.reason) if frame is not None else (1006, "")
    return ConnectionLost("The WebSocket connection ended.", code=code, reason=reason)
