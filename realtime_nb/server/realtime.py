"""One connection of `/v1/realtime`: one owner, one reader, one writer, and the work that events ask for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime_nb.engines.base import EngineSet
from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_actions import (
    Action,
    AudioAppended,
    BufferCleared,
    Committed,
    ResponseRequested,
    ResponseStopped,
    SessionChanged,
)
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.server.context_window import ContextWindow
from realtime_nb.server.faulty_socket import FaultySocket
from realtime_nb.server.hearing import Ears
from realtime_nb.server.limits import Limits
from realtime_nb.server.mcp import refuse_mcp_tools
from realtime_nb.server.metering import Meter
from realtime_nb.server.outbox import Outbox
from realtime_nb.server.reply import Replies
from realtime_nb.server.token_bucket import TokenBucket
from realtime_nb.server.turn_taking import TurnTaking
from realtime_nb.server.wire import CLIENT_GONE, SLOW_CONSUMER, Goodbye, Sleep, Wire

logger = logging.getLogger(__name__)

NO_NOISE_REDUCTION = (
    "A client asked for noise reduction; there is none here, and the session says so. "
    "Install it with: pip install 'realtime-nb[noise]'"
)
EXPIRED = "Your session hit the maximum duration of 60 minutes."


class RealtimeConnection:
    """Serves one accepted WebSocket until either side ends it.

    Args:
        websocket: accepted; owned from here on.
        engines: started.
        config: the session's first settings, with id, model and expiry.
        limits: bounds.
        bucket: the tokens that all connections use together.
        sleep: how to wait for the session's end, in seconds.
    """

    def __init__(
        self,
        websocket: WebSocket | FaultySocket,
        engines: EngineSet,
        config: SessionConfig,
        *,
        limits: Limits,
        bucket: TokenBucket,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._websocket = websocket
        self._engines = engines
        self._limits = limits
        self._bucket = bucket
        self._sleep = sleep
        self._outbox = Outbox(room_bytes=limits.reply_ahead_bytes, limit_bytes=limits.unsent_bytes)
        self._protocol = ServerProtocol(
            config, voices=engines.synthesizer.capabilities.voices, reduces_noise=engines.noise_suppressor is not None
        )
        self._replies: Replies | None = None
        self._goodbye: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()

    async def quiet(self) -> None:
        """Wait until no response is in progress and everything is on the wire, or it has ended. Cancellation-safe."""
        quiet = asyncio.create_task(self._replies_sent(), name="realtime-quiet")
        either: list[asyncio.Future[Any]] = [quiet, self._goodbye]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            quiet.cancel()

    async def _replies_sent(self) -> None:
        if self._replies is not None:
            await self._replies.quiet.wait()
        await self._outbox.drained()

    def end(self, goodbye: Goodbye) -> None:
        """End the connection soon; the first reason wins. `run` returns when everything is released."""
        if not self._goodbye.done():
            self._goodbye.set_result(goodbye)

    async def run(self) -> None:
        """Serve. Returns when the connection has ended and no task of it is left. Cancelling it ends it."""
        goodbye = Goodbye(1011, "server_error")
        writer = asyncio.create_task(self._write(), name="realtime-writer")
        try:
            goodbye = await self._serve()
        except* Exception:
            logger.exception("a realtime connection failed")
        finally:
            self._protocol.close()
            await self._leave(goodbye, writer)

    async def _serve(self) -> Goodbye:
        async with contextlib.AsyncExitStack() as leftovers, asyncio.TaskGroup() as group:
            wire = Wire(self._protocol, self._outbox, self._engines, group, self.end, self._sleep)
            self._protocol.meter = meter = Meter(self._bucket)
            self._protocol.open()
            refuse_mcp_tools(wire, None, self._protocol.config)
            wire.flush()
            ears = Ears(wire)
            leftovers.push_async_callback(ears.aclose)
            window, longest_tokens = ContextWindow(self._limits), self._limits.output_tokens
            self._replies = replies = Replies(wire, ears, meter, window, longest_tokens=longest_tokens)
            wire.spawn(self._read(wire, TurnTaking(wire, ears, replies), replies), name="realtime-reader")
            wire.spawn(self._expire(wire), name="realtime-expiry")
            goodbye = await self._goodbye
            wire.cancel_all()
        return goodbye

    async def _read(self, wire: Wire, turns: TurnTaking, replies: Replies) -> None:
        while True:
            try:
                message = await self._websocket.receive()
            except (WebSocketDisconnect, RuntimeError):
                break
            if message["type"] != "websocket.receive":
                break
            text = message.get("text")
            actions = self._receive(text if text is not None else message["bytes"])
            wire.flush()
            for action in actions:
                await self._act(action, wire, turns, replies)
            wire.flush()
            await asyncio.sleep(0)  # frames that are here already do not wait: let others have their turn
        self.end(CLIENT_GONE)

    def _receive(self, frame: str | bytes) -> list[Action]:
        if len(frame) <= self._limits.message_bytes:
            return self._protocol.receive(frame)
        problem = f"The message is too large: {len(frame):,} bytes, at most {self._limits.message_bytes:,}."
        self._protocol.error(RemoteProtocolError(problem, code="string_above_max_length"))
        return []

    async def _act(self, action: Action, wire: Wire, turns: TurnTaking, replies: Replies) -> None:
        match action:
            case AudioAppended():
                await turns.audio(action.audio)
            case Committed():
                turns.committed(action)
            case BufferCleared():
                turns.cleared()
            case SessionChanged():
                if action.noise_ignored:
                    logger.warning(NO_NOISE_REDUCTION)
                turns.reconfigured(action.before, action.after)
                refuse_mcp_tools(wire, action.before, action.after)
            case ResponseRequested():
                replies.start(action.response)
            case ResponseStopped():
                replies.stopped(action.response)

    async def _expire(self, wire: Wire) -> None:
        """End what is in progress, then the session: nothing follows its error (undocumented in the API)."""
        await self._sleep(self._limits.session_s)
        for response in list(self._protocol.active.values()):
            response.fail(type="invalid_request_error", code="session_expired", message=EXPIRED)
        self._protocol.error(RemoteProtocolError(EXPIRED, code="session_expired"))
        wire.flush()
        self._outbox.close()
        self.end(Goodbye(1001, EXPIRED))

    async def _write(self) -> None:
        try:
            while True:
                for frame in await self._outbox.take():
                    await self._websocket.send_text(frame)
                    self._outbox.sent(frame)
        except (WebSocketDisconnect, RuntimeError):
            self.end(CLIENT_GONE)

    async def _leave(self, goodbye: Goodbye, writer: asyncio.Task[None]) -> None:
        """Send what is left, say goodbye, stop the writer; a client that does not read is cut off."""
        try:
            if goodbye.code:
                async with asyncio.timeout(self._limits.close_wait_s):
                    if goodbye != SLOW_CONSUMER:
                        await self._outbox.drained()
                    await self._websocket.close(goodbye.code, goodbye.reason)
        except TimeoutError:
            self._websocket.scope["state"]["abort"]()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            writer.cancel()
            await asyncio.wait([writer])
