"""When a user's speech starts, pauses, goes on and ends. No I/O, no clock: time is the audio fed.

A neural detector says *that* somebody speaks, some 100 ms late; the level of 10 ms hops says *when*. The hold
(`silence_duration_ms`) counts from the end found by level, so the neural detector's lateness is not added to it.

::

    quiet ──SpeechStarted──► speaking ──SilenceBegan──► pausing ──SpeechStopped──► quiet
                                 ▲                         │
                                 └──────SpeechResumed──────┘
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import msgspec
import numpy as np

from realtime_nb.audio.resample import Resampler
from realtime_nb.engines.base import RECOGNISER_SAMPLE_RATE_HZ, Pcm16, VoiceActivityDetector
from realtime_nb.engines.loudness import SILENT_DBFS, NoiseFloor, level_dbfs

HOP_SAMPLES = 160
HOP_MS = 10
START_FRAMES = 2
HYSTERESIS = 0.15
MARGIN_OVER_FLOOR_DB = 10.0
DEPTH_BELOW_PEAK_DB = 38.0
LEAST_SPEECH_DBFS = -58.0
DISTRUST_LEVEL_AFTER_MS = 250
LOOK_BACK_MS = 240
START_GAP_HOPS = 6


class SpeechStarted(msgspec.Struct, frozen=True):
    """Somebody speaks. Milliseconds of all audio fed.

    Attributes:
        audio_start_ms: where the turn's audio begins, prefix padding included.
        onset_ms: where the speech itself begins.
    """

    audio_start_ms: int
    onset_ms: int


class SilenceBegan(msgspec.Struct, frozen=True):
    """A short silence: the turn may be over. Sent once a pause, and always before `SpeechStopped`.

    Attributes:
        at_ms: now.
        true_end_ms: where the speech ended, by level.
    """

    at_ms: int
    true_end_ms: int


class SpeechResumed(msgspec.Struct, frozen=True):
    """The short silence was only a pause.

    Attributes:
        at_ms: where speech goes on.
    """

    at_ms: int


class SpeechStopped(msgspec.Struct, frozen=True):
    """The turn is over: the hold has passed without speech.

    Attributes:
        audio_end_ms: where the turn's audio ends, the hold included; now.
        true_end_ms: where the speech ended, by level.
        detector_lag_ms: how much later than `true_end_ms` plus hold this comes.
    """

    audio_end_ms: int
    true_end_ms: int
    detector_lag_ms: int


TurnSignal = SpeechStarted | SilenceBegan | SpeechResumed | SpeechStopped


class _Phase(Enum):
    QUIET = "quiet"
    SPEAKING = "speaking"
    PAUSING = "pausing"


class SpeechDetector:
    """One stream's turns. How the audio is cut into chunks does not change what comes out.

    Attributes:
        threshold: probability of speech that starts a turn, 0 to 1. May be set at any time, as may the others.
        prefix_padding_ms: audio kept before the onset.
        silence_duration_ms: the hold.
        short_silence_ms: silence after which `SilenceBegan` is sent (or after the hold if that is shorter).
    """

    def __init__(
        self,
        detector: VoiceActivityDetector,
        *,
        sample_rate_hz: int = 24_000,
        threshold: float = 0.5,
        prefix_padding_ms: int = 300,
        silence_duration_ms: int = 500,
        short_silence_ms: int = 160,
    ) -> None:
        self.threshold = threshold
        self.prefix_padding_ms = prefix_padding_ms
        self.silence_duration_ms = silence_duration_ms
        self.short_silence_ms = short_silence_ms
        self._detector = detector
        self._rate_hz = sample_rate_hz
        self._resampler = Resampler(sample_rate_hz, RECOGNISER_SAMPLE_RATE_HZ)
        self._audio: Pcm16 = np.zeros(0, np.int16)
        """From the first sample of the frame under way, of which the first `_taken_samples` are whole hops."""
        self._taken_samples = 0
        self._fed_samples = 0
        self._hops = 0
        self._floor = NoiseFloor(HOP_MS)
        self._floor_dbfs = SILENT_DBFS
        self._recent: deque[float] = deque(maxlen=LOOK_BACK_MS // HOP_MS)
        self._phase = _Phase.QUIET
        self._boundary_ms = 0
        self._forget_speech()

    def _forget_speech(self) -> None:
        self._phase = _Phase.QUIET
        self._positive_frames = 0
        self._unjudged: list[tuple[int, float]] = []
        self._peak_dbfs = SILENT_DBFS
        self._true_end_ms = 0
        self._last_loud_ms = 0

    @property
    def total_ms(self) -> float:
        """All audio fed so far."""
        return self._fed_samples * 1000 / self._rate_hz

    @property
    def speaking(self) -> bool:
        """Whether a turn is open: started and not stopped, pauses included."""
        return self._phase is not _Phase.QUIET

    def feed(self, pcm16: Pcm16) -> list[TurnSignal]:
        """Take more audio, int16 mono at `sample_rate_hz`, of any length; return what happened in it, in order."""
        self._fed_samples += len(pcm16)
        signals: list[TurnSignal] = []
        audio = np.concatenate([self._audio, self._resampler.process(pcm16)])
        size, frame_start, taken = self._detector.frame_samples, 0, self._taken_samples
        while taken + HOP_SAMPLES <= len(audio):
            self._take_hop(level_dbfs(audio[taken : taken + HOP_SAMPLES]))
            taken += HOP_SAMPLES
            while taken - frame_start >= size:
                frame = audio[frame_start : frame_start + size]
                frame_start += size
                self._take_frame(self._detector.probability(frame), taken - frame_start, signals)
            if self._phase is not _Phase.QUIET:
                self._watch_silence(signals)
        self._audio, self._taken_samples = audio[frame_start:], taken - frame_start
        return signals

    def conclude(self) -> SpeechStopped | None:
        """End a turn that is in a silence, without waiting for audio of the rest of the hold; None if there is none."""
        return self.cut() if self._phase is _Phase.PAUSING else None

    def cut(self) -> SpeechStopped:
        """End the open turn now, in the middle of speech too."""
        now_ms = round(self.total_ms)
        stopped = SpeechStopped(
            now_ms, self._true_end_ms, max(0, now_ms - self._true_end_ms - self.silence_duration_ms)
        )
        self._boundary_ms = now_ms
        self._forget_speech()
        return stopped

    def abandon(self) -> None:
        """End the open turn without a signal: the buffer was cleared, or committed by hand. The clock goes on."""
        self._boundary_ms = round(self.total_ms)
        self._forget_speech()
        self._detector.reset()

    def _take_hop(self, level: float) -> None:
        self._floor_dbfs = self._floor.update(level)
        self._hops += 1
        self._recent.append(level)
        self._unjudged.append((self._hops * HOP_MS, level))

    def _take_frame(self, probability: float, begun_samples: int, signals: list[TurnSignal]) -> None:
        """Judge the hops that this frame completes; those that it holds only in part wait for the next."""
        now_ms = self._hops * HOP_MS
        judged = [hop for hop in self._unjudged if hop[0] <= now_ms - begun_samples // 16]
        self._unjudged = self._unjudged[len(judged) :]
        if self._phase is _Phase.QUIET:
            self._positive_frames = self._positive_frames + 1 if probability >= self.threshold else 0
            if self._positive_frames >= START_FRAMES:
                self._start(signals)
            return
        if probability < max(self.threshold - HYSTERESIS, 0.01):
            return
        for end_ms, level in judged:
            if level >= self._speech_dbfs():
                self._last_loud_ms = end_ms
            elif end_ms - self._last_loud_ms < DISTRUST_LEVEL_AFTER_MS:
                continue
            self._peak_dbfs = max(self._peak_dbfs, level)
            if self._phase is _Phase.SPEAKING:
                self._true_end_ms = end_ms
            elif probability >= self.threshold:
                self._phase = _Phase.SPEAKING
                self._true_end_ms = end_ms
                signals.append(SpeechResumed(at_ms=end_ms - HOP_MS))

    def _speech_dbfs(self) -> float:
        floor = min(self._floor_dbfs, self._peak_dbfs - 2 * MARGIN_OVER_FLOOR_DB)
        return max(floor + MARGIN_OVER_FLOOR_DB, self._peak_dbfs - DEPTH_BELOW_PEAK_DB, LEAST_SPEECH_DBFS)

    def _start(self, signals: list[TurnSignal]) -> None:
        since_boundary = self._hops - self._boundary_ms // HOP_MS
        recent = list(self._recent)[-since_boundary:] if since_boundary > 0 else []
        self._peak_dbfs = max(recent, default=SILENT_DBFS)
        limit = self._speech_dbfs()
        loud = [index for index, level in enumerate(recent) if level >= limit]
        if not loud:
            said_ms = self._positive_frames * self._detector.frame_samples // 16
            if said_ms < DISTRUST_LEVEL_AFTER_MS or not recent:
                return  # the late end of the turn before
            loud = list(range(len(recent)))
        first = last = loud[-1]
        for index in reversed(loud):
            if first - index <= START_GAP_HOPS:
                first = index
        first_hop = self._hops - len(recent)
        onset_ms = max((first_hop + first) * HOP_MS, self._boundary_ms)
        self._phase = _Phase.SPEAKING
        self._true_end_ms = self._last_loud_ms = (first_hop + last + 1) * HOP_MS
        start_ms = max(onset_ms - self.prefix_padding_ms, self._boundary_ms)
        signals.append(SpeechStarted(audio_start_ms=start_ms, onset_ms=onset_ms))

    def _watch_silence(self, signals: list[TurnSignal]) -> None:
        limit = self._speech_dbfs()
        if any(level >= limit for _, level in self._unjudged):
            return
        now_ms = self._hops * HOP_MS
        silence_ms = now_ms - self._true_end_ms
        if self._phase is _Phase.SPEAKING and silence_ms >= min(self.short_silence_ms, self.silence_duration_ms):
            self._phase = _Phase.PAUSING
            signals.append(SilenceBegan(at_ms=now_ms, true_end_ms=self._true_end_ms))
        if self._phase is _Phase.PAUSING and silence_ms >= self.silence_duration_ms:
            lag_ms = silence_ms - self.silence_duration_ms
            signals.append(SpeechStopped(now_ms, self._true_end_ms, lag_ms))
            self._boundary_ms = now_ms
            self._forget_speech()
