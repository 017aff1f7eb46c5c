"""Who speaks when: user audio to turns, turns to items and responses, replies prepared while the silence lasts.

Speculation: at a short silence the recogniser is asked for the words so far and the reply is begun, in a draft that
nothing on the wire shows. When the turn really ends the draft is claimed and all that it holds is written at once; when
speech goes on, or the session's settings or the conversation changed meanwhile, it is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import numpy as np

from realtime_nb.engines.base import RECOGNISER_SAMPLE_RATE_HZ, Pcm16
from realtime_nb.engines.end_of_turn import LONGEST_HOLD_MS, hold_ms, judge
from realtime_nb.engines.turn_detector import (
    SilenceBegan,
    SpeechDetector,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnSignal,
)
from realtime_nb.errors import EngineError, RemoteProtocolError
from realtime_nb.protocol.server_actions import Committed, ResponseStopped
from realtime_nb.protocol.server_response import ServerResponse, settings_for
from realtime_nb.protocol.session_config import SemanticVad, ServerVad, SessionConfig, TurnDetection
from realtime_nb.server.context import spoken_message
from realtime_nb.server.context_window import ContextFull
from realtime_nb.server.hearing import NOTHING_HEARD, Ears, Utterance
from realtime_nb.server.idle import IdleTimer
from realtime_nb.server.input_audio import InputDecoder
from realtime_nb.server.noise import Cleaner
from realtime_nb.server.reply import Draft, Replies
from realtime_nb.server.wire import Wire

SLICE_SAMPLES = 320
"""Audio is looked at in slices of 20 ms."""
SLICES_PER_BREATH = 10
"""After so many slices other tasks get the loop."""
SLICES_PER_REST = 1000
"""After so many slices of one message, 20 s, the recogniser must have caught up."""
SAMPLES_PER_MS = RECOGNISER_SAMPLE_RATE_HZ // 1000
STALL_MS = 500
"""A gap in the audio that may still be the network's."""
LONGEST_TURN_MS = 8 * 60 * 1000
"""Then a turn ends, whoever still speaks: a full buffer takes no audio, and the silence would never be heard."""
KEPT_BEFORE_PREFIX_MS = 1000
"""Silence kept beyond the prefix padding; a detector finds an onset at most 300 ms late."""


class TurnTaking:
    """Follows one connection's user audio.

    With `semantic_vad` every silence is judged by the words so far and by how the voice ended; the surer that the
    speaker is done, the shorter the hold, between the bounds of the eagerness. When no more audio comes, because the
    client muted its microphone or sends speech only, the hold passes by the clock.
    """

    def __init__(self, wire: Wire, ears: Ears, replies: Replies) -> None:
        self._wire = wire
        self._ears = ears
        self._replies = replies
        self._utterance: Utterance | None = None
        self._held: list[Pcm16] | None = None
        self._drafting: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._draft: Draft | None = None
        self._start_ms = 0.0
        self._response_due = False
        self._history: deque[Pcm16] = deque()
        self._history_samples = 0
        self._detector: SpeechDetector | None = None
        self._base_ms = 0.0
        self._decoder = InputDecoder(wire.protocol.config.audio.input.format)
        self._cleaner = Cleaner(wire)
        self._watch()
        self._idle = IdleTimer(wire, self._idle_timed_out)
        replies.on_end = self._response_ended

    @property
    def _detection(self) -> TurnDetection | None:
        return self._wire.protocol.config.audio.input.turn_detection

    def _watch(self) -> None:
        """Look for speech from here on, as the settings say."""
        detection = self._detection
        self._history.clear()
        self._history_samples = 0
        self._detector = None
        if detection is not None:
            buffer = self._wire.protocol.input_buffer
            self._base_ms = buffer.end_ms
            self._detector = SpeechDetector(self._wire.engines.vad(), sample_rate_hz=RECOGNISER_SAMPLE_RATE_HZ)
            self._tune(self._detector, detection)

    def _tune(self, detector: SpeechDetector, detection: TurnDetection) -> None:
        if isinstance(detection, SemanticVad):
            vad = ServerVad(silence_duration_ms=LONGEST_HOLD_MS[detection.eagerness])
        else:
            vad = detection
        detector.threshold = vad.threshold
        detector.prefix_padding_ms = vad.prefix_padding_ms
        detector.silence_duration_ms = vad.silence_duration_ms

    # --- what the client does -----------------------------------------------------------------------------------

    async def audio(self, audio: bytes) -> None:
        """Take appended audio, in the wire's format. Long audio is looked at in breaths, never blocking the loop."""
        pcm16 = await self._decode(audio)
        for count, start in enumerate(range(0, len(pcm16), SLICE_SAMPLES), start=1):
            self._hear(pcm16[start : start + SLICE_SAMPLES])
            if count % SLICES_PER_BREATH == 0:
                await asyncio.sleep(0)
            if count % SLICES_PER_REST == 0 and self._utterance is not None:
                with contextlib.suppress(EngineError):  # it is reported when the turn ends
                    await self._utterance.hypothesis()
        detector, buffer = self._detector, self._wire.protocol.input_buffer
        if detector is None:
            return
        if not detector.speaking:
            kept_ms = detector.prefix_padding_ms + KEPT_BEFORE_PREFIX_MS
            buffer.discard_before(self._base_ms + detector.total_ms - kept_ms)
        elif buffer.buffered_ms > LONGEST_TURN_MS:
            self._stopped(detector.cut())

    async def _decode(self, audio: bytes) -> Pcm16:
        if self._wire.protocol.config.audio.input.noise_reduction is None:
            return self._decoder.decode(audio)
        clean = await self._cleaner.clean(self._decoder, self._decoder.samples(audio))
        self._wire.protocol.input_buffer.rewrite_end(self._decoder.encode(clean), before=self._decoder.held_bytes)
        return self._decoder.resample(clean)

    def committed(self, committed: Committed) -> None:
        """The client ended the turn by hand."""
        utterance, protocol = self._utterance, self._wire.protocol
        seconds = len(committed.audio) / protocol.input_buffer.bytes_per_ms / 1000
        self._forget_the_judgement()
        self._drop_draft()
        self._feed_held()
        self._decoder.drop_half()
        self._utterance = None
        if self._detector is not None:
            self._detector.abandon()
        if utterance is None:
            audio_format = protocol.config.audio.input.format
            self._ears.recall(str(committed.item.id), committed.audio, audio_format, seconds=seconds)
        else:
            self._ears.settle(utterance, seconds=seconds)

    def cleared(self) -> None:
        """The client threw the buffer away."""
        self._abandon()
        self._decoder.drop_half()
        if self._detector is not None:
            self._detector.abandon()

    def reconfigured(self, before: SessionConfig, after: SessionConfig) -> None:
        """Follow changed settings: of the same detection at once, else from the next audio on."""
        old, new = before.audio.input, after.audio.input
        if (old.format, old.noise_reduction) != (new.format, new.noise_reduction):
            self._cleaner.reset()
        if old.format != new.format:
            self._decoder = InputDecoder(new.format)
        if old.format != new.format or (old.turn_detection is None) != (new.turn_detection is None):
            self._abandon()
            self._wire.protocol.speech_item_id = None
            self._watch()
        elif self._detector is not None and new.turn_detection is not None:
            self._tune(self._detector, new.turn_detection)

    # --- what the audio says ------------------------------------------------------------------------------------

    def _hear(self, pcm16: Pcm16) -> None:
        if self._detector is None:
            if self._utterance is None:
                self._utterance = self._ears.listen(self._wire.protocol.reserve_user_item())
            self._utterance.feed(pcm16)
            return
        self._remember(pcm16, self._detector)
        signals = self._detector.feed(pcm16)
        for signal in signals:
            self._follow(signal, self._detector)
        if self._utterance is None or any(isinstance(signal, SpeechStarted) for signal in signals):
            return
        if self._held is None:
            self._utterance.feed(pcm16)
        else:
            self._held.append(pcm16)

    def _remember(self, pcm16: Pcm16, detector: SpeechDetector) -> None:
        self._history.append(pcm16)
        self._history_samples += len(pcm16)
        kept = (detector.prefix_padding_ms + KEPT_BEFORE_PREFIX_MS) * SAMPLES_PER_MS
        while self._history_samples - len(self._history[0]) > kept:
            self._history_samples -= len(self._history.popleft())

    def _follow(self, signal: TurnSignal, detector: SpeechDetector) -> None:
        match signal:
            case SpeechStarted():
                self._started(signal, detector)
            case SilenceBegan():
                self._held = []
                self._judge_the_end(detector, signal.true_end_ms)
                self._begin_draft()
            case SpeechResumed():
                self._forget_the_judgement()
                self._drop_draft()
                self._feed_held()
            case SpeechStopped():
                self._stopped(signal)

    def _started(self, signal: SpeechStarted, detector: SpeechDetector) -> None:
        protocol = self._wire.protocol
        self._response_due = False
        self._start_ms = self._base_ms + signal.audio_start_ms
        stops = protocol.speech_started(round(self._start_ms))
        self._wire.flush()
        for stop in stops:
            if isinstance(stop, ResponseStopped):
                self._replies.stopped(stop.response)
        self._idle.stop()
        self._utterance = self._ears.listen(protocol.reserve_user_item())
        heard = np.concatenate(list(self._history))
        behind = round((detector.total_ms - signal.audio_start_ms) * SAMPLES_PER_MS)
        self._utterance.feed(heard[max(0, len(heard) - behind) :])

    def _stopped(self, signal: SpeechStopped) -> None:
        self._forget_the_judgement()
        utterance, draft = self._utterance, self._draft
        self._utterance = self._held = self._draft = None
        end_ms = round(self._base_ms + signal.audio_end_ms)
        committed = self._wire.protocol.speech_stopped(end_ms, start_ms=self._start_ms)
        if self._drafting is not None:
            self._drafting.cancel()
        if utterance is not None:
            seconds = len(committed.audio) / self._wire.protocol.input_buffer.bytes_per_ms / 1000
            self._ears.settle(utterance, seconds=seconds)
        detection = self._detection
        if detection is not None and detection.create_response and self._wire.protocol.config.type == "realtime":
            self._respond(draft)
        elif draft is not None:
            draft.discard()
        self._wire.flush()

    # --- semantic VAD -------------------------------------------------------------------------------------------

    def _judge_the_end(self, detector: SpeechDetector, true_end_ms: int) -> None:
        if isinstance(self._detection, SemanticVad) and self._utterance is not None:
            work = self._judge_and_wait(self._utterance, detector, self._detection, true_end_ms)
            self._judging = self._wire.spawn(work, name="turn-judgement")

    async def _judge_and_wait(
        self, utterance: Utterance, detector: SpeechDetector, detection: SemanticVad, true_end_ms: int
    ) -> None:
        """Judge the silence; end the turn by the clock should no more audio come."""
        await self._judge(utterance, detector, detection)
        fed_ms = -1.0
        while detector.total_ms != fed_ms:
            fed_ms = detector.total_ms
            left_ms = max(0.0, detector.silence_duration_ms - (fed_ms - true_end_ms))
            await self._wire.sleep((left_ms + STALL_MS) / 1000)
        stopped = detector.conclude()
        if stopped is not None:
            self._judging = None
            self._stopped(stopped)

    async def _judge(self, utterance: Utterance, detector: SpeechDetector, detection: SemanticVad) -> None:
        """Set how long this silence must last. Without a recogniser the voice alone decides."""
        try:
            words = (await utterance.hypothesis()).text
        except EngineError:
            words = ""
        voice = np.concatenate(list(self._history))
        verdict = await asyncio.to_thread(judge, words, voice, RECOGNISER_SAMPLE_RATE_HZ)
        detector.silence_duration_ms = hold_ms(verdict, detection.eagerness)

    def _forget_the_judgement(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None
        if isinstance(self._detection, SemanticVad) and self._detector is not None:
            self._detector.silence_duration_ms = LONGEST_HOLD_MS[self._detection.eagerness]

    # --- replies ------------------------------------------------------------------------------------------------

    def _respond(self, draft: Draft | None) -> None:
        """Create the turn's response, or as soon as the one in progress has ended."""
        try:
            response = self._wire.protocol.create_response()
        except RemoteProtocolError:
            self._response_due = True
            if draft is not None:
                draft.discard()
            return
        self._replies.start(response, draft)

    def _response_ended(self, response: ServerResponse) -> None:
        if self._response_due and self._wire.protocol.active_default is None:
            self._response_due = False
            self._respond(None)
        elif self._utterance is None:
            self._idle.start_after(response)

    def _idle_timed_out(self) -> None:
        committed = self._wire.protocol.idle_timed_out()
        self._ears.transcripts[str(committed.item.id)] = NOTHING_HEARD
        self._respond(None)
        self._wire.flush()

    def _begin_draft(self) -> None:
        detection, protocol = self._detection, self._wire.protocol
        if self._utterance is None or detection is None or not detection.create_response:
            return
        if protocol.config.type == "realtime" and protocol.active_default is None:
            self._drafting = self._wire.spawn(self._prepare(self._utterance), name="turn-draft")

    async def _prepare(self, utterance: Utterance) -> None:
        try:
            heard = await utterance.hypothesis()
        except EngineError:
            return
        settings = settings_for(self._wire.protocol.config, None, None)
        try:
            request = self._replies.request(settings, spoken_message(heard))
        except ContextFull:
            return
        self._draft = Draft(self._wire, settings, request)

    def _drop_draft(self) -> None:
        if self._drafting is not None:
            self._drafting.cancel()
        if self._draft is not None:
            self._draft.discard()
        self._drafting = self._draft = None

    def _feed_held(self) -> None:
        held, self._held = self._held or [], None
        for pcm16 in held:
            if self._utterance is not None:
                self._utterance.feed(pcm16)

    def _abandon(self) -> None:
        """Forget the turn under way."""
        self._forget_the_judgement()
        self._drop_draft()
        utterance, self._utterance, self._held = self._utterance, None, None
        if utterance is not None:
            self._wire.spawn(utterance.aclose(), name="utterance-close")
