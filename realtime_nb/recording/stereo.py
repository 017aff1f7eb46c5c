"""A stereo WAV file that grows while it is written, each channel at its own pace, readable at any moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .format import CHANNELS, WAV_HEADER_BYTES, wav_header

FRAME_BYTES = CHANNELS * 2
Pcm16 = npt.NDArray[np.int16]


class StereoFile:
    """Writes samples at any place of either channel; what nobody wrote is silence.

    Every write goes straight to the operating system and so survives a killed process. (A memory-mapped file would be
    quicker, but a full disk would then kill the process instead of raising.) Not thread-safe; one thread writes.

    Raises:
        OSError: from any method, when the disk is full or gone.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(wav_header(0))
        self._file = path.open("r+b", buffering=0)
        self._n_frames = 0
        self._told = 0

    def write(self, channel: int, position: int, pcm16: Pcm16) -> None:
        """Put samples of one channel (0 left, 1 right) at sample `position`."""
        if len(pcm16) == 0 or self._file.closed:
            return
        start = WAV_HEADER_BYTES + position * FRAME_BYTES
        frames = np.zeros((len(pcm16), CHANNELS), "<i2")
        if position < self._n_frames:
            self._file.seek(start)
            there = np.frombuffer(_read(self._file, frames.nbytes), "<i2").reshape(-1, CHANNELS)
            frames[: len(there)] = there
        frames[:, channel] = pcm16
        self._file.seek(start)
        _write_all(self._file, frames.tobytes())
        self._n_frames = max(self._n_frames, position + len(pcm16))

    def flush(self) -> None:
        """Let the header say how much there is."""
        if self._told != self._n_frames and not self._file.closed:
            self._file.seek(0)
            _write_all(self._file, wav_header(self._n_frames))
            self._told = self._n_frames

    def close(self) -> None:
        """Finish the file. Closing twice is fine."""
        try:
            self.flush()
        finally:
            self._file.close()


def _read(file: object, n_bytes: int) -> bytes:
    data: bytes = file.read(n_bytes) or b""  # type: ignore[attr-defined]
    return data[: len(data) - len(data) % FRAME_BYTES]


def _write_all(file: object, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]  # type: ignore[attr-defined]
