"""The embedded server: `/v1/realtime` and what belongs to it, on whatever loop starts it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from realtime_nb.engines.base import EngineSet
from realtime_nb.errors import ConfigurationError, RemoteProtocolError
from realtime_nb.protocol.codec import encode
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server_events import ErrorDetails, ErrorEvent
from realtime_nb.protocol.session_config import SessionConfig, first_config
from realtime_nb.server.admission import (
    CLOSE_TRY_LATER,
    SUBPROTOCOL,
    Admission,
    Keyring,
    Refused,
    admit,
    is_loopback,
    origin_allowed,
)
from realtime_nb.server.client_secrets import ClientSecrets
from realtime_nb.server.faulty_socket import FaultySocket
from realtime_nb.server.limits import Limits
from realtime_nb.server.realtime import RealtimeConnection
from realtime_nb.server.refusals import no_such_url, refusal
from realtime_nb.server.rest_api import RestApi
from realtime_nb.server.token_bucket import TokenBucket
from realtime_nb.server.wire import Goodbye, Sleep
from realtime_nb.transport.faults import Faults, for_connection

logger = logging.getLogger(__name__)

SHUTTING_DOWN = Goodbye(1001, "The server is shutting down.")
STOP_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 75
"""Longer than a question takes to ask: a client's warm connection is still there when the question ends."""


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """Gives the application `scope["state"]["abort"]`, to cut off a client that does not read.

    Reading stops only when a second message waits; uvicorn does so at each one, for 7 % of a busy server's time. A
    client that answers no ping is cut off; uvicorn closes, which waits for ever while something is unsent.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": self.transport.abort}

    def send_receive_event_to_app(self) -> None:
        self.read_paused = self.queue.empty()  # it is told so, and does not pause
        super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


class _AbortableHttp(H11Protocol):
    """Gives the application the same, to cut off an answer that cannot be finished."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class _QuietServer(uvicorn.Server):
    """uvicorn without signal handlers: the process belongs to somebody else."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class EmbeddedServer:
    """A server on the current loop. Make one with `start`.

    Attributes:
        url: the base URL, "http://127.0.0.1:PORT/v1".
        token: the key that clients must give; with `allow_any_key` one that works like any other.
        engines: what hears, thinks and speaks here; started and closed with the server.
    """

    def __init__(
        self,
        engines: EngineSet,
        *,
        host: str,
        keys: Keyring,
        token: str,
        limits: Limits,
        sleep: Sleep,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
    ) -> None:
        self.engines = engines
        self.token = token
        self.url = ""
        self._host = host
        self._keys = keys
        self._limits = limits
        self._faults = faults
        self._openings = 0
        self._faulty = 0
        self._sleep = sleep
        self._unix_clock = unix_clock
        self._client_secrets = ClientSecrets(
            model=engines.model,
            voices=engines.synthesizer.capabilities.voices,
            reduces_noise=engines.noise_suppressor is not None,
            session_s=limits.session_s,
            clock=unix_clock,
        )
        self._bucket = TokenBucket(limits.tokens_per_minute, clock)
        self._rest = RestApi(
            engines,
            host=host,
            keys=keys,
            client_secrets=self._client_secrets,
            limits=limits,
            bucket=self._bucket,
            unix_clock=unix_clock,
        )
        self._ids = IdFactory()
        self._connections: dict[RealtimeConnection, asyncio.Task[Any]] = {}
        self._server: _QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._closed = self._draining = False

    @classmethod
    async def start(
        cls,
        engines: EngineSet,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str | None = None,
        allow_any_key: bool = False,
        limits: Limits | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
    ) -> EmbeddedServer:
        """Warm the engines, bind, and serve until `aclose`.

        Args:
            engines: not started; owned by the server from here on, also when this raises.
            host: where to listen.
            port: 0 for any free one.
            api_key: the key to ask for; None makes a new token for this run.
            allow_any_key: accept any key or none; only on loopback.
            limits: bounds of the server and of a connection.
            sleep: how to wait for a session's maximum duration, in seconds.
            clock: seconds, monotonic; how the tokens per minute flow.
            unix_clock: Unix time in seconds; when client secrets expire.
            faults: what goes wrong on every connection, for tests and teaching.

        Raises:
            ConfigurationError: the address cannot be used, or any key was to be accepted beyond loopback.
            EngineError: an engine cannot start.
        """
        if allow_any_key and not is_loopback(host):
            raise ConfigurationError(
                f"A server on {host} would accept any key from the network.", what_now="Give it an API key."
            )
        token = api_key or f"rtnb_{secrets.token_urlsafe(24)}"
        keys = Keyring(key=None if allow_any_key else token)
        server = cls(
            engines,
            host=host,
            keys=keys,
            token=token,
            limits=limits or Limits(),
            sleep=sleep,
            clock=clock,
            unix_clock=unix_clock,
            faults=faults,
        )
        try:
            with contextlib.ExitStack() as undo:
                listener = undo.enter_context(_bind(host, port))
                await engines.start()
                await server._serve(listener)
                undo.pop_all()
        except BaseException:
            await server.aclose()
            raise
        return server

    async def _serve(self, listener: socket.socket) -> None:
        bound_port = listener.getsockname()[1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{shown}:{bound_port}/v1"
        self._server = _QuietServer(
            uvicorn.Config(
                self.app(),
                log_config=None,
                lifespan="off",
                http=_AbortableHttp,
                ws=_WebSocketProtocol,
                ws_max_size=max(self._limits.frame_bytes, self._limits.message_bytes),
                ws_ping_interval=self._limits.ping_s,
                ws_ping_timeout=self._limits.ping_s,
                ws_per_message_deflate=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
            )
        )
        self._serving = asyncio.create_task(self._server.serve([listener]), name="embedded-server")
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise ConfigurationError("The embedded server did not start.")
            await asyncio.sleep(0.005)

    async def drain(self, patience_s: float) -> None:
        """Take nothing more and wait until no response is in progress, at most so long. `aclose` comes next."""
        self._draining = True
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.gather(self._rest.drain(), *(connection.quiet() for connection in self._connections))
        except TimeoutError:
            logger.warning("some responses did not end in %g s; they are cut off", patience_s)

    async def aclose(self) -> None:
        """End every session with 1001 and every answer, stop listening, release the engines. Closing twice is fine."""
        if self._closed:
            return
        self._closed = self._draining = True
        self._rest.end()
        for connection in self._connections:
            connection.end(SHUTTING_DOWN)
        if self._connections:
            await asyncio.wait(list(self._connections.values()), timeout=STOP_TIMEOUT_S)
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait([self._serving])
        await self.engines.aclose()

    # --- routes -------------------------------------------------------------------------------------------------

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [*self._rest.routes(), WebSocketRoute("/v1/realtime", self._realtime)]
        return Starlette(routes=routes, exception_handlers={HTTPException: no_such_url})

    async def _realtime(self, websocket: WebSocket) -> None:
        if self._draining:
            await websocket.send_denial_response(refusal(503, SHUTTING_DOWN.reason, "server_shutting_down"))
            return
        if not origin_allowed(websocket.headers.get("origin"), host=self._host):
            await websocket.close()  # before accept: HTTP 403
            return
        offered = list(websocket.scope.get("subprotocols", []))
        self._openings += 1
        if self._faults is not None and self._openings <= len(self._faults.refuse):
            status = self._faults.refuse[self._openings - 1]
            await websocket.send_denial_response(refusal(status, "A simulated fault.", "simulated_fault"))
            return
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            admission = admit(websocket.headers, offered, websocket.query_params, self._keys, self._client_secrets)
            self._check_room()
        except Refused as refused:
            await self._refuse(websocket, refused)
            return
        on_the_network = self._on_the_network(websocket)
        connection = RealtimeConnection(
            on_the_network,
            self.engines,
            self._config(admission),
            limits=self._limits,
            bucket=self._bucket,
            sleep=self._sleep,
        )
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            if isinstance(on_the_network, FaultySocket):  # the client may have left without a goodbye of ours
                await on_the_network.close()

    def _on_the_network(self, websocket: WebSocket) -> WebSocket | FaultySocket:
        if self._faults is None:
            return websocket
        self._faulty += 1
        faults = for_connection(self._faults, self._faulty)
        return FaultySocket(websocket, faults, seed=faults.seed + self._faulty)

    def _check_room(self) -> None:
        most = self._limits.sessions
        if most is not None and len(self._connections) >= most:
            problem = RemoteProtocolError(
                f"Rate limit reached on concurrent sessions: limit {most}. Please try again later.",
                code="rate_limit_exceeded",
            )
            raise Refused(CLOSE_TRY_LATER, problem, type="rate_limit_error")

    async def _refuse(self, websocket: WebSocket, refused: Refused) -> None:
        problem = refused.problem
        details = ErrorDetails(type=refused.type, code=problem.code, message=problem.message, param=problem.param)
        await websocket.send_text(encode(ErrorEvent(event_id=self._ids.new("event"), error=details)))
        await websocket.close(refused.close_code, refused.reason)

    def _config(self, admission: Admission) -> SessionConfig:
        kind: Any = admission.session_type
        scope = admission.scope
        return first_config(
            scope.config if scope is not None and scope.session_type is not None else SessionConfig(type=kind),
            session_id=self._ids.new("sess"),
            model=admission.model or self.engines.model,
            expires_at=int(self._unix_clock() + self._limits.session_s),
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as problem:
        raise ConfigurationError(
            f"The server cannot listen on {host}:{port}: {problem}.",
            what_now="Choose another port, 0 for any free one, or check the host.",
        ) from problem
    return listener
