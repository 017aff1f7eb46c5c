"""Sample rate conversion that holds no audio back: a streaming polyphase FIR in numpy.

Every `process` call returns all the audio that its input stands for at once, late only by the filter's
group delay (1 to 2 ms). How the stream is cut into chunks does not change one sample of the result.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.format import MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ
from realtime_nb.errors import AudioError

Pcm16 = npt.NDArray[np.int16]

ZERO_CROSSINGS = 16
KAISER_BETA = 9.0
ROLLOFF = 0.93
"""Cut-off as a share of the lower rate's Nyquist frequency."""

_FEW_PHASES = 16
_BLOCK_COLUMNS = 16
_BLOCK_OUTPUTS = 8_192
_BLOCK_INPUTS = 1 << 18


@lru_cache(maxsize=16)
def _filter_bank(up: int, down: int) -> tuple[npt.NDArray[np.float64], int]:
    """Return taps of shape `(up, 2 * half)`, one row a phase, and `half`, the delay in input samples."""
    cutoff = min(1.0, up / down) * ROLLOFF
    half = ceil(ZERO_CROSSINGS / cutoff)
    offset = np.arange(2 * half)[None, :] + 1 - half - np.arange(up)[:, None] / up
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, None))) / np.i0(KAISER_BETA)
    taps = np.sinc(cutoff * offset) * window
    taps /= taps.sum(axis=1, keepdims=True)
    taps.setflags(write=False)
    return taps, half


@lru_cache(maxsize=64)
def _block_taps(up: int, down: int, phase: int) -> tuple[npt.NDArray[np.float64], int]:
    """Return the taps of neighbouring outputs as columns, each where its inputs are, and the inputs to the next block.

    The first output stands at `phase`, in 1/up of an input sample.
    """
    taps, half = _filter_bank(up, down)
    turns = -(-_BLOCK_COLUMNS // up)
    starts, phases = np.divmod(phase + np.arange(turns * up) * down, up)
    block = np.zeros((int(starts[-1]) + 2 * half, turns * up))
    for column, start in enumerate(starts):
        block[start : start + 2 * half, column] = taps[phases[column]]
    block.setflags(write=False)
    return block, turns * down


def check_sample_rate(sample_rate_hz: int) -> None:
    """Raise `AudioError` unless the rate is one that audio really has (4 to 384 kHz)."""
    if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise AudioError(
            f"A sample rate of {sample_rate_hz} Hz is not one that speech audio has.",
            what_now=f"Use a rate from {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz.",
        )


class Resampler:
    """One stream from one rate to another.

    Attributes:
        from_hz: rate of what `process` takes.
        to_hz: rate of what it returns.
        group_delay_ms: how late the output is, 0 when the rates are equal.

    Raises:
        AudioError: a rate is out of range.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        check_sample_rate(from_hz)
        check_sample_rate(to_hz)
        self.from_hz = from_hz
        self.to_hz = to_hz
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        self._taps, self._half = _filter_bank(self._up, self._down)
        self.group_delay_ms = 0.0 if from_hz == to_hz else self._half * 1000 / from_hz
        self._restart()

    def _restart(self, position: int = 0) -> None:
        """Forget the stream; the next output stands at `position`, in 1/up of an input sample after the first."""
        self._history = np.zeros(2 * self._half - 1)
        self._position = position

    def process(self, pcm16: Pcm16) -> Pcm16:
        """Return the converted audio: for n samples in all so far, `ceil(n * to_hz / from_hz)` in all."""
        if self.from_hz == self.to_hz:
            return np.array(pcm16, dtype=np.int16)
        return self._convolve(np.asarray(pcm16, dtype=np.float64))

    def flush(self) -> Pcm16:
        """Return the tail that the group delay still hides, and start afresh."""
        if self.from_hz == self.to_hz:
            return np.zeros(0, dtype=np.int16)
        tail = self._convolve(np.zeros(self._half))
        self._restart()
        return tail

    def _convolve(self, samples: npt.NDArray[np.float64]) -> Pcm16:
        signal = np.concatenate((self._history, samples))
        end = len(samples) * self._up
        n_outputs = max(0, -(-(end - self._position) // self._down))
        width = 2 * self._half
        fill = self._fill_by_block if self._up <= _FEW_PHASES else self._fill_by_output
        sums = np.empty(n_outputs)
        fill(signal, sums)
        np.rint(sums, out=sums)
        np.maximum(sums, -32_768, out=sums)
        np.minimum(sums, 32_767, out=sums)
        output = sums.astype(np.int16)
        self._position += n_outputs * self._down - end
        self._history = signal[len(signal) - (width - 1) :]
        return output

    def _fill_by_block(self, signal: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]) -> None:
        """Fill the outputs with one product: a row for each block of outputs, however few phases there are."""
        start, phase = divmod(self._position, self._up)
        taps, step = _block_taps(self._up, self._down, phase)
        width, block = taps.shape
        n_blocks = -(-len(sums) // block)
        missing = start + (n_blocks - 1) * step + width - len(signal)
        if missing > 0:
            signal = np.concatenate((signal, np.zeros(missing)))
        size = signal.itemsize
        windows = np.ndarray((n_blocks, width), signal.dtype, signal, start * size, (step * size, size))
        sums[:] = np.dot(windows, taps).ravel()[: len(sums)]

    def _fill_by_output(self, signal: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]) -> None:
        windows = np.lib.stride_tricks.sliding_window_view(signal, 2 * self._half) if len(sums) else signal
        for first in range(0, len(sums), _BLOCK_OUTPUTS):
            last = min(first + _BLOCK_OUTPUTS, len(sums))
            position = self._position + np.arange(first, last) * self._down
            taps = self._taps[position % self._up]
            np.einsum("ij,ij->i", windows[position // self._up], taps, out=sums[first:last])


def resample(pcm16: Pcm16, from_hz: int, to_hz: int) -> Pcm16:
    """Return a whole recording at another rate: delay-compensated, exactly `round(n * to_hz / from_hz)` samples.

    Raises:
        AudioError: a rate is out of range.
    """
    if from_hz == to_hz:
        return np.array(pcm16, dtype=np.int16)
    resampler = Resampler(from_hz, to_hz)
    length = (2 * len(pcm16) * to_hz + from_hz) // (2 * from_hz)
    resampler._restart(resampler._half * resampler._up)
    parts = [resampler.process(pcm16[start : start + _BLOCK_INPUTS]) for start in range(0, len(pcm16), _BLOCK_INPUTS)]
    parts.append(resampler.process(np.zeros(resampler._half + 2, dtype=np.int16)))
    return np.concatenate(parts)[:length]
