"""The client transport against real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from realtime_nb.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, ConnectionRefused
from realtime_nb.transport.websocket import open_websocket

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def listening(handler: Callable[[ServerConnection], Any], **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)


async def test_frames_go_and_come() -> None:
    async with listening(echo) as url:
        transport = await open_websocket(url, headers={"Authorization": "Bearer x"})
        await transport.send("hello")
        assert await transport.receive() == "hello"
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(ConnectionLost):
            await transport.send("late")


async def test_a_close_frame_carries_code_and_reason() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(3000, "invalid_request_error.invalid_api_key")

    async with listening(leave) as url:
        transport = await open_websocket(url)
        with pytest.raises(ConnectionLost) as lost:
            await transport.receive()
        assert (lost.value.code, lost.value.reason) == (3000, "invalid_request_error.invalid_api_key")


async def test_closing_does_not_wait_for_frames_that_nobody_reads() -> None:
    codes: list[int | None] = []
    sent, left = asyncio.Event(), asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        for _ in range(200):
            await connection.send("word " * 200)
        sent.set()
        await connection.wait_closed()
        codes.append(connection.close_code)
        left.set()

    async with listening(talk) as url:
        transport = await open_websocket(url)
        await sent.wait()
        await transport.aclose()
        await left.wait()
        assert codes == [transport._connection.close_code] == [1000]


async def test_a_cut_without_a_close_frame_is_1006() -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with listening(vanish) as url:
        transport = await open_websocket(url)
        with pytest.raises(ConnectionLost) as lost:
            await transport.receive()
        assert lost.value.code == 1006


@pytest.mark.parametrize(
    ("status", "error"),
    [(http.HTTPStatus.UNAUTHORIZED, AuthenticationFailed), (http.HTTPStatus.NOT_FOUND, ConnectionRefused)],
)
async def test_a_refused_handshake_says_what_to_do(status: http.HTTPStatus, error: type[Exception]) -> None:
    async with listening(echo, process_request=lambda c, r: c.respond(status, "no")) as url:
        with pytest.raises(error, match=r"Check the (API key|address)"):
            await open_websocket(url)


async def test_nobody_there_and_nobody_answering() -> None:
    with pytest.raises(ConnectionRefused, match="cannot be reached"):
        await open_websocket("ws://127.0.0.1:1/")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(ConnectionRefused, match="did not answer"):
            await open_websocket(f"ws://127.0.0.1:{port}/", timeout_s=0.2)


async def test_a_query_never_shows_in_an_error() -> None:
    with pytest.raises(ConfigurationError) as refused:
        await open_websocket("http://nowhere/?api_key=secret")
    assert "secret" not in str(refused.value)
