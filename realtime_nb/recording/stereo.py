"""A stereo WAV file that grows while it is written, each channel at its own pace, readable at any moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .format import CHANNELS, SAMPLE_RATE_HZ, WAV_HEADER_BYTES, wav_header

GROW_FRAMES = 10 * SAMPLE_RATE_HZ
Pcm16 = npt.NDArray[np.int16]


class StereoFile:
    """Writes samples at any place of either channel; what nobody wrote is silence.

    The file is mapped into memory: what was written is the operating system's at once and survives a killed process.
    Not thread-safe; one thread writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capacity = 0
        self._used = 0
        self._frames: np.memmap[tuple[int, int], np.dtype[np.int16]] | None = None
        path.write_bytes(wav_header(0))

    def write(self, channel: int, position: int, pcm16: Pcm16) -> None:
        """Put samples of one channel (0 left, 1 right) at sample `position`."""
        end = position + len(pcm16)
        if end > self._capacity:
            self._grow(end)
        assert self._frames is not None
        self._frames[position:end, channel] = pcm16
        self._used = max(self._used, end)

    def close(self) -> None:
        """Cut the file to what was written. Closing twice is fine."""
        self._frames = None
        with self._path.open("r+b") as file:
            file.truncate(WAV_HEADER_BYTES + self._used * CHANNELS * 2)
            file.write(wav_header(self._used))

    def _grow(self, n_frames: int) -> None:
        self._capacity = -(-n_frames // GROW_FRAMES) * GROW_FRAMES
        self._frames = None
        with self._path.open("r+b") as file:
            file.truncate(WAV_HEADER_BYTES + self._capacity * CHANNELS * 2)
            file.write(wav_header(self._capacity))
        self._frames = np.memmap(
            self._path, dtype=np.int16, mode="r+", offset=WAV_HEADER_BYTES, shape=(self._capacity, CHANNELS)
        )
