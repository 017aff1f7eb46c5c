"""HTTP through a simulated network: a transport for httpx (and for httpx2, which newer `openai` packages use).

The parts of requests and responses arrive one by one, as late as the network makes them; a new connection first costs
its round trips.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .network import CONNECTION_SETUP_ROUND_TRIPS, Bucket, Lane, NetworkProfile, network_profile

WAITING_CHUNKS = 1024
"""Received and not yet due or not yet taken; the server waits beyond that, as TCP makes it wait."""
REQUEST_LINE_BYTES = 32
KEEPALIVE_EXPIRY_S = 5.0
"""As httpx and the SDK."""

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


def openai_http_client(network: str | NetworkProfile, **options: Any) -> Any:
    """Return a client for `openai.AsyncOpenAI(http_client=...)` that goes through a simulated network.

    It belongs to the SDK client then, whose `close` closes it.

    Args:
        network: a profile or its name.
        options: of the SDK's `DefaultAsyncHttpxClient`.

    Raises:
        ConfigurationError: there is no network of that name.
    """
    import openai

    profile = network_profile(network)
    client: Any = openai.DefaultAsyncHttpxClient
    return client(**options) if profile is None else client(transport=openai_transport(profile), **options)


def openai_transport(network: NetworkProfile, *, keepalive_expiry_s: float = KEEPALIVE_EXPIRY_S) -> Any:
    """Return a `NetworkTransport` over sockets for the HTTP library that the installed `openai` uses.

    Args:
        network: the simulated network.
        keepalive_expiry_s: how long an idle connection stays open, so that the next request has no set-up.
    """
    import openai

    library = importlib.import_module(_library_of(openai.DefaultAsyncHttpxClient))
    return NetworkTransport(
        library.AsyncHTTPTransport(limits=library.Limits(keepalive_expiry=keepalive_expiry_s)), network
    )


class NetworkTransport:
    """An `httpx.AsyncBaseTransport` around another one. Use it in `httpx.AsyncClient(transport=...)`.

    Its requests share the network's bandwidth. Connections are known to be new by httpcore's trace of `connect_tcp`,
    so that transports without sockets (ASGI, mocks) have no set-up.

    Args:
        transport: what really sends.
        network: the simulated network.
    """

    def __init__(self, transport: Any, network: NetworkProfile) -> None:
        self.network = network
        self._transport = transport
        self._up_bucket, self._down_bucket = Bucket(network.up_mbps), Bucket(network.down_mbps)
        self._requests = 0

    async def __aenter__(self) -> NetworkTransport:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._transport.__aexit__(*details)

    async def aclose(self) -> None:
        """Close the real transport."""
        await self._transport.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request, late, and return its response, late. Raises what the real transport raises."""
        self._requests += 1
        up = self.network.up(self._requests, self._up_bucket)
        down = self.network.down(self._requests, self._down_bucket)
        upload = _Upload(request.stream, up)
        await upload.carry(_head_bytes(request) + len(str(request.url)))
        response = await self._transport.handle_async_request(
            type(request)(
                request.method,
                request.url,
                headers=request.headers,
                stream=_stream(type(request), upload),
                extensions={**request.extensions, "trace": _waits_for_set_up(up, request.extensions.get("trace"))},
            )
        )
        download = _Download(response.stream, down)
        try:
            await download.head(_head_bytes(response))
        except BaseException:
            await download.aclose()
            raise
        return type(response)(
            response.status_code,
            headers=response.headers,
            stream=_stream(type(response), download),
            extensions=response.extensions,
        )


class _Upload:
    """A request's body: every part is there when the network has carried it."""

    def __init__(self, body: Any, lane: Lane) -> None:
        self._body = body
        self._lane = lane
        self._waited_s = 0.0

    async def carry(self, n_bytes: int) -> None:
        """Wait until bytes are at the server. The sender does not wait: what follows was handed over meanwhile."""
        now_s = asyncio.get_running_loop().time()
        wait_s = self._lane.arrival_s(now_s - self._waited_s, n_bytes) - now_s
        if wait_s > 0:
            self._waited_s += wait_s
            await asyncio.sleep(wait_s)

    async def parts(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            await self.carry(len(part))
            yield part

    async def aclose(self) -> None:
        if hasattr(self._body, "aclose"):
            await self._body.aclose()


class _Download:
    """A response's body, read by a task of its own so that every part is late by the network, not by its reader."""

    def __init__(self, body: Any, lane: Lane) -> None:
        self._body = body
        self._lane = lane
        self._arrived: asyncio.Queue[tuple[float, bytes | BaseException | None]] = asyncio.Queue(WAITING_CHUNKS)
        self._head_due_s = 0.0
        self._reader: asyncio.Task[None] | None = None

    async def head(self, n_bytes: int) -> None:
        """Begin to read, and wait until the response's head is here."""
        now_s = asyncio.get_running_loop().time()
        due_s = self._lane.arrival_s(now_s, n_bytes)
        self._reader = asyncio.create_task(self._read(), name="realtime_nb simulated download")
        await asyncio.sleep(max(0.0, due_s - now_s))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        end: BaseException | None = None
        try:
            async for part in self._body:
                await self._arrived.put((self._lane.arrival_s(loop.time(), len(part)), part))
        except Exception as problem:
            end = problem
        await self._arrived.put((self._lane.arrival_s(loop.time(), 0), end))

    async def parts(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while True:
            due_s, part = await self._arrived.get()
            if (wait_s := due_s - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            if part is None:
                return
            if isinstance(part, BaseException):
                raise part
            yield part

    async def aclose(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._body.aclose()


def _waits_for_set_up(lane: Lane, trace: Trace | None) -> Trace:
    async def waits(name: str, info: dict[str, Any]) -> None:
        if name == "connection.connect_tcp.complete":
            await asyncio.sleep(sum(lane.round_trip_s() for _ in range(CONNECTION_SETUP_ROUND_TRIPS)))
        if trace is not None:
            await trace(name, info)

    return waits


def _stream(message: type, body: _Upload | _Download) -> Any:
    """Return the body as the byte stream of the library that the message's class comes from."""
    return _stream_class(message.__module__.partition(".")[0])(body)


@functools.cache
def _stream_class(library: str) -> type:
    base: Any = importlib.import_module(library).AsyncByteStream

    class NetworkByteStream(base):
        def __init__(self, body: _Upload | _Download) -> None:
            self._body = body

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._body.parts()

        async def aclose(self) -> None:
            await self._body.aclose()

    return NetworkByteStream


def _library_of(client: type) -> str:
    """Return "httpx" or "httpx2": where the SDK's client class comes from."""
    names = [each.__module__.partition(".")[0] for each in client.__mro__]
    return next(name for name in names if name.startswith("httpx"))


def _head_bytes(message: Any) -> int:
    return REQUEST_LINE_BYTES + sum(len(name) + len(value) + 4 for name, value in message.headers.raw)
