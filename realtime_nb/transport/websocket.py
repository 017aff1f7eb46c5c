"""The network: a client WebSocket. The one place where `websockets` is used to connect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConcurrencyError, ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from realtime_nb.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, ConnectionRefused

from .base import NORMAL_CLOSE_CODE, connection_lost

MAX_FRAME_BYTES = 64 * 1024 * 1024
CLOSE_TIMEOUT_S = 2.0
"""Some servers never answer a close frame; do not wait for them longer than this."""


class WebSocketTransport:
    """A `Transport` over a client WebSocket. Make one with `open_websocket`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of the subprotocols offered, None when nothing."""
        return self._connection.subprotocol

    async def send(self, frame: str | bytes) -> None:
        """Send one frame, text or (which a Realtime server refuses) binary. See `Transport.send`."""
        try:
            await self._connection.send(frame)
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def receive(self) -> str | bytes:
        """Wait for the next frame. See `Transport.receive`."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def ping(self) -> float:
        """Send a ping, wait for its pong, and return the round trip in seconds. Cancellation-safe.

        Raises:
            ConnectionLost: the connection ended first.
        """
        try:
            return await (await self._connection.ping())
        except ConnectionClosed as closed:
            raise _lost(closed) from closed

    async def aclose(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close. See `Transport.aclose`."""
        reading = asyncio.create_task(self._pass_over(), name="websocket closing")
        try:
            await self._connection.close(code, reason)
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _pass_over(self) -> None:
        """Read what still comes: the server's close frame is behind it, and unread frames stop the reading."""
        with contextlib.suppress(ConnectionClosed, ConcurrencyError):
            while True:
                await self._connection.recv()


async def open_websocket(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
    timeout_s: float = 10.0,
) -> WebSocketTransport:
    """Connect to a `ws://` or `wss://` address.

    Args:
        url: the whole address, query included.
        headers: sent with the handshake.
        subprotocols: offered to the server, in order of preference.
        timeout_s: for the whole handshake, in seconds.

    Raises:
        ConnectionRefused: nobody listens there, the handshake failed, or took too long.
        AuthenticationFailed: the handshake was answered 401 or 403.
        ConfigurationError: the address is not one.
    """
    where = url.partition("?")[0]
    try:
        connection = await connect(
            url,
            additional_headers=dict(headers or {}),
            subprotocols=[Subprotocol(one) for one in subprotocols] if subprotocols else None,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            open_timeout=timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
        )
    except InvalidURI as problem:
        raise ConfigurationError(
            f"{where!r} is not a WebSocket address.", what_now="Give a base URL such as http://127.0.0.1:8000/v1."
        ) from problem
    except InvalidStatus as problem:
        status = problem.response.status_code
        if status in (401, 403):
            raise AuthenticationFailed(
                f"{where} refused the connection ({status}).", what_now="Check the API key for this server."
            ) from problem
        raise ConnectionRefused(
            f"{where} answered {status} instead of opening a WebSocket.",
            what_now="Check the address: it should end in /v1, and the server must speak the Realtime protocol.",
        ) from problem
    except TimeoutError as problem:
        raise ConnectionRefused(
            f"{where} did not answer within {timeout_s:g} s.", what_now="Check the network, then connect again."
        ) from problem
    except (OSError, InvalidHandshake, EOFError) as problem:
        raise ConnectionRefused(
            f"{where} cannot be reached ({problem}).", what_now="Check that the server runs and the address is right."
        ) from problem
    return WebSocketTransport(connection)


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    frame = closed.rcvd or closed.sent
    return connection_lost(1006, "") if frame is None else connection_lost(frame.code, frame.reason)
