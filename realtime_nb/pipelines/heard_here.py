"""Turns whose end is found on this side: the question is recorded, and answered by requests when it is complete."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.audio.pcm import pcm16_from_bytes
from realtime_nb.engines.base import VoiceActivityDetector
from realtime_nb.engines.turn_detector import SpeechDetector, SpeechStarted, SpeechStopped, TurnSignal

from .rest_client import RestClient
from .speaking import Speaking
from .stage_server import StageEndpoint, StageKind, StageServer, find_server
from .turn_pipeline import NO_SAMPLES, NO_SPEECH, TurnPipeline, cancel_and_wait
from .turn_run import StageFailed, TurnRun

DETECTORS_LAG_MS = 600
"""A detector may notice speech, or its end, so much later than it came."""
LONGEST_SILENCE_MS = 8_000
KEPT_AFTER_SPEECH_MS = 200
"""Recorded silence that goes along with the question; the rest of the hold is not sent."""
RATE_HZ = 24_000


class Ear:
    """Records one turn, and knows when it ends: by the embedded server's own detector and rules."""

    def __init__(self, vad: VoiceActivityDetector, *, silence_duration_ms: int) -> None:
        self._detector = SpeechDetector(vad, sample_rate_hz=RATE_HZ, silence_duration_ms=silence_duration_ms)
        self._frames: list[bytes] = []
        self._start_ms: int | None = None
        self._end_ms = 0

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks, pauses shorter than the hold included."""
        return self._detector.speaking

    def hear(self, frame: bytes) -> list[TurnSignal]:
        """Take a frame of 24 kHz PCM16 and return what it tells."""
        self._frames.append(frame)
        signals = self._detector.feed(pcm16_from_bytes(frame))
        for signal in signals:
            if isinstance(signal, SpeechStarted) and self._start_ms is None:
                self._start_ms = signal.audio_start_ms
            elif isinstance(signal, SpeechStopped):
                self._end_ms = min(signal.audio_end_ms, signal.true_end_ms + KEPT_AFTER_SPEECH_MS)
        return signals

    def recording(self) -> AudioClip:
        """Return what was said: from before the first onset to a little after the last end."""
        samples = pcm16_from_bytes(b"".join(self._frames))
        start, end = (self._start_ms or 0) * RATE_HZ // 1000, self._end_ms * RATE_HZ // 1000
        return AudioClip(samples[start:end].astype(np.int16), RATE_HZ, title="question")


class HeardHere(TurnPipeline):
    """Base of the pipelines that talk HTTP.

    Args:
        stages: which server does what, by the name of the stage.
        detector: makes the end-of-turn detector; the embedded server's own by default.
        transport: makes what carries requests, for tests; see `RestClient`.
        options: of every pipeline; see `TurnPipeline`.
    """

    connections: ClassVar[int] = 1
    """Requests to one server under way at once."""

    def __init__(
        self,
        stages: dict[StageKind, StageEndpoint | None],
        *,
        detector: Callable[[], VoiceActivityDetector] | None = None,
        transport: Callable[[], Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._stages = {kind: at or StageEndpoint() for kind, at in stages.items()}
        self._detector = detector
        self._transport = transport
        self._servers: dict[StageKind, StageServer] = {}
        self._clients: dict[tuple[str, str], RestClient] = {}
        self._history: list[dict[str, Any]] = []
        self._before = 0

    @abstractmethod
    async def _answer(self, turn: TurnRun, question: AudioClip) -> list[dict[str, Any]]:
        """Answer, and return the messages that belong to the history from now on; `turn.finish` is the caller's.

        Raises:
            StageFailed: a stage did not do its work.
        """

    # --- life ---------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        for kind, at in self._stages.items():
            if kind not in self._servers:
                self._servers[kind] = await find_server(kind, at, engine=self.engine, chat=self.brain)
        for server in self._servers.values():
            key = (server.rest_url, server.endpoint.api_key)
            if key not in self._clients:
                carrier = self._transport() if self._transport else None
                self._clients[key] = RestClient(server, network=self.network, transport=carrier)
        await asyncio.gather(*(client.warm(self.connections) for client in self._clients.values()))
        if not self.provenance.endpoints:
            named = {str(kind): server for kind, server in self._servers.items()}
            detector = await asyncio.to_thread(self._make_detector)
            self._settle_provenance(named, detector=detector.capabilities.name)

    async def _reset(self) -> None:
        self._history = []

    async def _take_back(self) -> None:
        del self._history[self._before :]

    async def _aclose(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _sdk(self, kind: StageKind) -> Any:
        server = self._servers[kind]
        return self._clients[server.rest_url, server.endpoint.api_key].sdk

    def _make_detector(self) -> VoiceActivityDetector:
        if self._detector is not None:
            return self._detector()
        embedded = next((server.vad for server in self._servers.values() if server.vad is not None), None)
        if embedded is not None:
            return embedded()
        from realtime_nb.engines import vad

        return vad.create()

    # --- a turn -------------------------------------------------------------------------------------------------

    async def _live(self, turn: TurnRun, clip: AudioClip) -> None:
        self._before = len(self._history)
        speaking = await asyncio.to_thread(Speaking, clip)
        if speaking.silent:
            turn.finish("no_speech", NO_SAMPLES)
            return
        ear = Ear(await asyncio.to_thread(self._make_detector), silence_duration_ms=self.silence_duration_ms)
        answering = await self._listen(turn, speaking, ear)
        if answering is None:
            turn.finish("no_speech", NO_SPEECH)
            return
        try:
            self._history += await answering
        except asyncio.CancelledError:
            await cancel_and_wait(answering)
            raise
        for client in self._clients.values():
            client.used()
        turn.finish("completed")

    async def _listen(self, turn: TurnRun, speaking: Speaking, ear: Ear) -> asyncio.Task[list[dict[str, Any]]] | None:
        """Hear the clip out, begin to answer at every end of speech, and return the answer to the last one."""
        answering: asyncio.Task[list[dict[str, Any]]] | None = None
        marked = False
        try:
            async for frame in speaking.frames():
                if not marked:
                    speaking.mark_end(turn.marks)
                    marked = True
                for signal in ear.hear(frame):
                    if isinstance(signal, SpeechStarted) and answering is not None:
                        await cancel_and_wait(answering)
                        turn.start_over()
                        answering = None
                    elif isinstance(signal, SpeechStopped):
                        turn.reach("speech_stopped")
                        answering = asyncio.create_task(self._answer(turn, ear.recording()), name="pipeline answer")
                if self._heard_out(speaking, ear, answering):
                    return answering
        except BaseException:
            if answering is not None:
                await cancel_and_wait(answering)
            raise
        raise AssertionError("frames never end")

    def _heard_out(self, speaking: Speaking, ear: Ear, answering: object) -> bool:
        if speaking.after_ms < 0 or (answering is None and speaking.after_ms < DETECTORS_LAG_MS):
            return False
        if speaking.after_ms > LONGEST_SILENCE_MS:
            raise StageFailed("The detector did not find the end of the speech.", what_now="Choose another clip.")
        return not ear.speaking
