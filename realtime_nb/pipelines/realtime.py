"""A session over `/v1/realtime`: the server hears the end of the turn, and answers speech with speech."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import RealtimeError
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.timing.marks import Route
from realtime_nb.transport.base import Transport

from .base import Status
from .session_turn import SessionTurn
from .speaking import Speaking
from .stage_server import StageEndpoint, StageServer, find_server
from .turn_pipeline import NO_SAMPLES, TurnPipeline
from .turn_run import TurnRun

OpenTransport = Callable[[StageServer], Awaitable[Transport]]


class RealtimePipeline(TurnPipeline):
    """One session; its conversation is the history.

    Args:
        session: the Realtime server; None chooses as `connect` does.
        open_transport: how to connect, for tests; a WebSocket by default.
        options: see `TurnPipeline`.
    """

    route: ClassVar[Route] = "realtime"

    def __init__(
        self, *, session: StageEndpoint | None = None, open_transport: OpenTransport | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._at = session or StageEndpoint()
        self._open_transport = open_transport
        self._session: Session | None = None
        self._before: set[str] = set()

    @property
    def session(self) -> Session | None:
        """The session in use, None before `start`; record it, watch it, attach a player to it."""
        return self._session

    async def _start(self) -> None:
        if self._session is not None and self._session.state == "connected":
            return
        await self._aclose()
        server = await find_server("session", self._at, engine=self.engine, chat=self.brain)
        opener = self._open_transport
        self._session = await open_session(
            server.endpoint,
            settings=self._settings(),
            engine=server.engine,
            network=self.network,
            open_transport=None if opener is None else lambda: opener(server),
        )
        for tool in self.toolbox:
            self._session.tools.add(tool)
        announced = msgspec.structs.replace(server.endpoint, model=self._session.model or server.endpoint.model)
        detector = "the server's"
        if server.vad is not None:
            detector = (await asyncio.to_thread(server.vad)).capabilities.name
        self._settle_provenance({"session": server._replace(endpoint=announced)}, detector=detector)
        beside = self._session.config.audio.input.transcription
        if beside is not None and beside.model and not server.embedded:  # it is paid for, too
            models = {**self.provenance.models, "transcription": beside.model}
            self.provenance = msgspec.structs.replace(self.provenance, models=models)

    def _settings(self) -> dict[str, Any]:
        return session_settings(
            instructions=self.instructions or None,
            voice=self.voice,
            turn_detection={"type": "server_vad", "silence_duration_ms": self.silence_duration_ms},
            tools=self.toolbox.definitions or None,
        )

    async def _live(self, turn: TurnRun, clip: AudioClip) -> None:
        session = self._session
        assert session is not None
        self._before = {str(item.id) for item in session.conversation.items}
        speaking = await asyncio.to_thread(Speaking, clip)
        if speaking.silent:
            turn.finish("no_speech", NO_SAMPLES)
            return
        live = SessionTurn(session, turn, timeout_s=self.timeouts.session_s, thinks_in_words=bool(session.engine))
        status: Status = "failed"
        try:
            status, error = await live.run(speaking)
        finally:
            if status != "completed":
                await asyncio.shield(asyncio.ensure_future(self._forget(session, self._before)))
        turn.finish(status, error)

    async def _forget(self, session: Session, kept: set[str]) -> None:
        """Take back what the session got since; a session that cannot is closed, and opened anew by the next turn."""
        try:
            if session.state == "connected":
                await session.interrupt()
                await session.input_audio_buffer.clear()
                for item in session.conversation.items:
                    if str(item.id) not in kept:
                        await session.conversation.item.delete(str(item.id))
        except RealtimeError:
            await session.aclose()

    async def _take_back(self) -> None:
        if self._session is not None:
            await self._forget(self._session, self._before)

    async def _reset(self) -> None:
        if self._session is not None:
            await self._forget(self._session, set())

    async def _aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(RealtimeError):
                await session.aclose()
