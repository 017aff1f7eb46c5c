"""What all pipelines share: options, the runtime's loop, one turn at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.engines.delayed import simulated_in
from realtime_nb.errors import RealtimeError
from realtime_nb.runtime import runtime
from realtime_nb.session.tools import Tool
from realtime_nb.timing.marks import Route
from realtime_nb.transport.network import NetworkProfile, network_profile

from .across import on_runtime
from .base import Finished, PipelineEvent, Provenance
from .stage_server import StageServer
from .tool_use import toolbox_of
from .turn_run import TurnRun

if TYPE_CHECKING:
    from realtime_nb.engines.base import ChatModel

NO_SPEECH = "No speech was heard in the clip, so nothing was sent to be answered. Choose a louder clip, or speak up."
NO_WORDS = "Speech was heard in the clip, but no words were recognised in it, so nothing was answered."
NO_SAMPLES = "The clip is empty or silent, so nothing was sent to be answered. Record again or choose another clip."


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long each stage may take, in seconds. A model's calls of functions are part of `chat` and `session`."""

    transcription_s: float = 30.0
    chat_s: float = 60.0
    speech_s: float = 60.0
    session_s: float = 60.0


class TurnPipeline(ABC):
    """A pipeline on the runtime's loop; every method may be awaited from any loop.

    Args:
        engine: of the embedded server, where a stage is done there: "offline", "scripted", …; `REALTIME_NB_ENGINE`
            otherwise, else "offline".
        brain: what replaces the embedded server's chat model; see `connect(chat=…)`.
        instructions: what the model should be and do.
        voice: one of the API's preset voices.
        tools: functions that the model may call.
        silence_duration_ms: the hold: how long a silence ends the turn. The same for every pipeline.
        timeouts: of the stages.
        network: a simulated network between the user and every server; see `connect(network=…)`.

    Attributes:
        provenance: who answers; complete after `start`.
    """

    route: ClassVar[Route]

    def __init__(
        self,
        *,
        engine: str | None = None,
        brain: str | ChatModel | None = None,
        instructions: str = "",
        voice: str = "alloy",
        tools: Iterable[Tool | Callable[..., Any]] = (),
        silence_duration_ms: int = 500,
        timeouts: Timeouts | None = None,
        network: str | NetworkProfile | None = None,
    ) -> None:
        self.engine = engine or os.environ.get("REALTIME_NB_ENGINE", "offline")
        self.brain = brain
        self.instructions = instructions
        self.voice = voice
        self.toolbox = toolbox_of(tools)
        self.silence_duration_ms = silence_duration_ms
        self.timeouts = timeouts or Timeouts()
        self.network = network_profile(network)
        self.provenance = Provenance(route=self.route, endpoints={}, models={})
        self._opening = asyncio.Lock()
        self._busy = False
        self._ticket: object = None

    # --- for everybody ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect and warm up, so that the first turn is as fast as the tenth. Twice is fine.

        Raises:
            ConnectionRefused, AuthenticationFailed, ConfigurationError, EngineError: a stage cannot work.
        """
        await runtime().call(self._open())

    def run(self, clip: AudioClip) -> AsyncGenerator[PipelineEvent, None]:
        """Play the clip in real time and stream what happens, to `Finished`. See `Pipeline.run`.

        Raises:
            RealtimeError: another turn is still running, or the pipeline cannot start.
        """
        return self._events(clip, object())

    async def _events(self, clip: AudioClip, ticket: object) -> AsyncGenerator[PipelineEvent, None]:
        finished = False
        try:
            async with contextlib.aclosing(on_runtime(lambda: self._run(clip, ticket))) as events:
                async for event in events:
                    finished = finished or isinstance(event, Finished)
                    yield event
        finally:
            if not finished:  # the turn may have come to its end meanwhile, unseen
                await runtime().call(self._void(ticket))

    async def reset(self) -> None:
        """Forget the earlier turns."""
        await runtime().call(self._reset())

    async def aclose(self) -> None:
        """Release connections, those included that are being opened. Twice is fine."""
        await runtime().call(self._close())

    # --- for those who implement it, on the runtime's loop ------------------------------------------------------

    @abstractmethod
    async def _start(self) -> None: ...

    @abstractmethod
    async def _live(self, turn: TurnRun, clip: AudioClip) -> None:
        """Do one turn to `turn.finish`; restore the history when it does not complete."""

    @abstractmethod
    async def _take_back(self) -> None:
        """Forget the last turn."""

    @abstractmethod
    async def _reset(self) -> None: ...

    @abstractmethod
    async def _aclose(self) -> None: ...

    async def _open(self) -> None:
        async with self._opening:
            await self._start()

    async def _close(self) -> None:
        async with self._opening:
            await self._aclose()

    async def _void(self, ticket: object) -> None:
        if self._ticket is ticket and not self._busy:
            await self._take_back()

    async def _run(self, clip: AudioClip, ticket: object) -> AsyncGenerator[PipelineEvent, None]:
        if self._busy:
            raise RealtimeError(
                "A pipeline does one turn at a time.", what_now="Wait for the turn, or make another pipeline."
            )
        self._busy = True
        try:
            await self._open()
            self._ticket = ticket
            turn = TurnRun(self.route)
            async with contextlib.aclosing(turn.events(self._live(turn, clip))) as events:
                async for event in events:
                    yield event
        finally:
            self._busy = False

    def _settle_provenance(self, servers: dict[str, StageServer], **settings: Any) -> None:
        engines = dict.fromkeys(server.engine for server in servers.values() if server.engine)
        self.provenance = Provenance(
            route=self.route,
            endpoints={name: server.said for name, server in servers.items()},
            models={name: server.endpoint.model for name, server in servers.items()},
            engine="; ".join(engines),
            simulated=(
                *((self.network.label,) if self.network is not None else ()),
                *simulated_in("; ".join(engines)),
            ),
            settings={"silence_duration_ms": self.silence_duration_ms, "voice": self.voice, **settings},
        )


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """End a task and wait for its end, whatever it is."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # what it failed with does not matter any more
