"""When an answer's sound would be heard on a player without a buffer, from nothing but when its bytes arrived."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AUDIBLE_DBFS = -50.0
"""RMS of a frame that counts as sound: below quiet speech, above the hiss that voices begin with."""
FRAME_MS = 5.0
SAMPLE_RATE_HZ = 24_000

_FRAME = int(SAMPLE_RATE_HZ * FRAME_MS / 1000)
_AUDIBLE = 32768 * 10 ** (AUDIBLE_DBFS / 20)


class IdealPlayer:
    """Starts at the first byte, plays without a gap, and waits only where the audio had not arrived yet.

    Attributes:
        began_ms: when the first audio arrived, None before.
        audible_ms: when the first audible sample was due: the first one at the threshold's level in the first 5 ms
            frame whose RMS is at least -50 dBFS. None while there was none.
        audible_sample: which sample of the answer that is.
        starved_ms: how long it had to wait in the middle.
    """

    def __init__(self) -> None:
        self.began_ms: float | None = None
        self.audible_ms: float | None = None
        self.audible_sample: int | None = None
        self.starved_ms = 0.0
        self._free_ms = 0.0
        self._n_samples = 0
        self._pieces: list[tuple[int, float]] = []
        self._frame_start = 0
        self._rest: npt.NDArray[np.int16] = np.zeros(0, np.int16)

    @property
    def ends_ms(self) -> float:
        """When what arrived so far is played."""
        return self._free_ms

    def take(self, pcm16: bytes, arrived_ms: float) -> bool:
        """Take audio (24 kHz mono PCM16, whole samples) that arrived at `arrived_ms`.

        Returns:
            True once: when the first audible sample was in it.
        """
        samples = np.frombuffer(pcm16, dtype="<i2")
        if not len(samples):
            return False
        if self.began_ms is None:
            self.began_ms = self._free_ms = arrived_ms
        self.starved_ms += max(0.0, arrived_ms - self._free_ms)
        starts_ms = max(arrived_ms, self._free_ms)
        self._free_ms = starts_ms + len(samples) * 1000 / SAMPLE_RATE_HZ
        first, self._n_samples = self._n_samples, self._n_samples + len(samples)
        if self.audible_ms is not None:
            return False
        self._pieces.append((first, starts_ms))
        self._rest = np.concatenate([self._rest, samples])
        return self._look()

    def _look(self) -> bool:
        whole = len(self._rest) // _FRAME
        frames = self._rest[: whole * _FRAME].reshape(whole, _FRAME).astype(np.float64)
        loud = np.flatnonzero(np.sqrt(np.mean(frames**2, axis=1)) >= _AUDIBLE) if whole else np.zeros(0, np.int64)
        if len(loud):
            frame = int(loud[0])
            within = int(np.argmax(np.abs(frames[frame]) >= _AUDIBLE))
            self.audible_sample = self._frame_start + frame * _FRAME + within
            self.audible_ms = self._due_ms(self.audible_sample)
            self._rest, self._pieces = self._rest[:0], []
            return True
        self._frame_start += whole * _FRAME
        self._rest = self._rest[whole * _FRAME :]
        return False

    def _due_ms(self, sample: int) -> float:
        first, starts_ms = next(piece for piece in reversed(self._pieces) if piece[0] <= sample)
        return starts_ms + (sample - first) * 1000 / SAMPLE_RATE_HZ
