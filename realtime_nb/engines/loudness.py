"""Levels and noise floors, the cheap half of speech detection."""

from __future__ import annotations

import math

import numpy as np

from realtime_nb.engines.base import Pcm16

SILENT_DBFS = -100.0
"""The level reported for digital silence."""


def level_dbfs(pcm16: Pcm16) -> float:
    """Return the RMS level of the samples in dB below a full-scale square wave, its mean removed; at least -100."""
    if not len(pcm16):
        return SILENT_DBFS
    samples = pcm16.astype(np.float64)
    mean = float(np.add.reduce(samples)) / len(samples)
    power = float(np.dot(samples, samples)) / len(samples) - mean * mean
    return max(SILENT_DBFS, 10 * math.log10(power / 32768.0**2)) if power > 0 else SILENT_DBFS


class NoiseFloor:
    """The quietest level of the last two to four seconds: what is there when nobody speaks."""

    def __init__(self, step_ms: float, *, block_ms: float = 2000.0) -> None:
        """Watch a stream of levels.

        Args:
            step_ms: time between two levels.
            block_ms: the floor may rise only after one to two of these.
        """
        self._steps_per_block = max(1, round(block_ms / step_ms))
        self._smoothing = min(1.0, step_ms / 30.0)
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._smooth: float | None = None
        self._steps = 0
        self._current = math.inf
        self._previous = math.inf

    def update(self, level: float) -> float:
        """Take the next level, dBFS; return the floor, dBFS."""
        self._smooth = level if self._smooth is None else self._smooth + self._smoothing * (level - self._smooth)
        if self._steps == self._steps_per_block:
            self._previous, self._current, self._steps = self._current, math.inf, 0
        self._steps += 1
        self._current = min(self._current, self._smooth)
        return min(self._current, self._previous)
