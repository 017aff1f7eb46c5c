"""From a voice library's raw audio to the chunks that we send: 24 kHz, level, trimmed, in small pieces with words."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.resample import Resampler
from realtime_nb.engines.base import SYNTHESIZER_SAMPLE_RATE_HZ

Pcm16 = npt.NDArray[np.int16]
TimedWord = tuple[str, float, float]
"""A word, its start and its end, in seconds of the library's own audio of one sentence."""

FIRST_CHUNK_MS = 40
CHUNK_MS = 100
AUDIBLE = 10 ** (-50 / 20)
"""Samples below -50 dBFS count as silence after speech."""
ONSET = 10 ** (-45 / 20)
"""Speech begins with the first sample above -45 dBFS; `LEAD_IN_MS` before it stay, for soft consonants."""
LEAD_IN_MS = 25
SENTENCE_PAUSE_MS = 220
LAST_PAUSE_MS = 60

_KNEE = 0.7
_HEADROOM = 0.25


def limited(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the signal with peaks above -3 dBFS bent softly, so that nothing passes 0.95 and nothing clips."""
    magnitude = np.abs(signal)
    loud = magnitude > _KNEE
    if loud.any():
        bent = _KNEE + _HEADROOM * np.tanh((magnitude[loud] - _KNEE) / _HEADROOM)
        signal = signal.copy()
        signal[loud] = np.sign(signal[loud]) * bent
    return signal


class SpeechShaper:
    """One utterance on its way out: sentence after sentence in, chunks out.

    Each sentence loses its leading silence but for 25 ms, and its trailing silence but for a pause.
    """

    def __init__(self, library_rate_hz: int, *, tract: float = 1.0, gain_db: float = 0.0) -> None:
        """Begin an utterance.

        Args:
            library_rate_hz: the rate at which the library makes samples and counts time.
            tract: how much faster they are played, which shifts pitch and formants up as a shorter vocal tract does.
            gain_db: brings this voice to the common level.
        """
        self._library_rate_hz = library_rate_hz
        self._rate_hz = rate_hz = round(library_rate_hz * tract / 50) * 50
        self._gain = 10 ** (gain_db / 20) / 32_768
        self._resampler = Resampler(rate_hz, SYNTHESIZER_SAMPLE_RATE_HZ)
        self._chunk_samples = SYNTHESIZER_SAMPLE_RATE_HZ * FIRST_CHUNK_MS // 1000
        self._ready: list[Pcm16] = []
        self._ready_samples = 0
        self._sent_samples = 0
        self._passed_samples = 0
        self._words: deque[list[Any]] = deque()
        self._begin_sentence()

    def _begin_sentence(self) -> None:
        self._speaking = False
        self._quiet = np.zeros(0)
        self._trimmed_samples = 0
        self._sentence_start = self._passed_samples
        self._untimed: list[TimedWord] = []

    def push(self, samples: Pcm16, words: list[TimedWord]) -> list[dict[str, Any]]:
        """Add a piece of the current sentence and the words known by now; return the chunks that are full."""
        self._untimed.extend(words)
        signal = np.concatenate((self._quiet, limited(samples.astype(np.float64) * self._gain)))
        audible = np.flatnonzero(np.abs(signal) > (AUDIBLE if self._speaking else ONSET))
        keep = LEAD_IN_MS * self._rate_hz // 1000
        if not self._speaking:
            first = max(0, audible[0] - keep) if len(audible) else max(0, len(signal) - keep)
            self._trimmed_samples += first
            signal, audible = signal[first:], audible - first
            self._speaking = len(audible) > 0
        end = int(audible[-1]) + 1 if len(audible) else 0
        self._quiet = signal[end:]
        self._pass(signal[:end])
        return self._full_chunks()

    def end_sentence(self, *, last: bool) -> list[dict[str, Any]]:
        """Close the sentence with a pause; after the last one return everything that is left."""
        pause = (LAST_PAUSE_MS if last else SENTENCE_PAUSE_MS) * self._rate_hz // 1000
        if self._speaking:
            self._pass(np.concatenate((self._quiet[:pause], np.zeros(max(0, pause - len(self._quiet))))))
        self._begin_sentence()
        if not last:
            return self._full_chunks()
        self._hold(self._resampler.flush())
        chunks = self._full_chunks()
        return [*chunks, self._chunk(self._ready_samples)] if self._ready_samples else chunks

    def _pass(self, signal: npt.NDArray[np.float64]) -> None:
        if self._speaking:
            for word, start_s, end_s in self._untimed:
                self._words.append([word, self._out_ms(start_s), self._out_ms(end_s)])
            self._untimed = []
        self._passed_samples += len(signal)
        self._hold(self._resampler.process(np.rint(signal * 32_767).astype(np.int16)))

    def _out_ms(self, library_s: float) -> int:
        samples = max(0.0, library_s * self._library_rate_hz - self._trimmed_samples)
        return round((self._sentence_start + samples) * 1000 / self._rate_hz)

    def _hold(self, samples: Pcm16) -> None:
        if len(samples):
            self._ready.append(samples)
            self._ready_samples += len(samples)

    def _full_chunks(self) -> list[dict[str, Any]]:
        chunks = []
        while self._ready_samples >= self._chunk_samples:
            chunks.append(self._chunk(self._chunk_samples))
            self._chunk_samples = SYNTHESIZER_SAMPLE_RATE_HZ * CHUNK_MS // 1000
        return chunks

    def _chunk(self, n_samples: int) -> dict[str, Any]:
        joined = np.concatenate(self._ready)
        self._ready = [joined[n_samples:]]
        self._ready_samples -= n_samples
        self._sent_samples += n_samples
        end_ms = self._sent_samples * 1000 / SYNTHESIZER_SAMPLE_RATE_HZ
        words = []
        while self._words and self._words[0][1] < end_ms:
            words.append(self._words.popleft())
        return {"pcm16": joined[:n_samples].tobytes(), "words": words}
