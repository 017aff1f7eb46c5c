"""PCM16 samples: to and from bytes and floats, mono, and how loud they are.

Arrays are `numpy.int16` of shape `(n_samples,)`; bytes are little-endian, as on the wire.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_nb.errors import AudioError

Pcm16 = npt.NDArray[np.int16]

FULL_SCALE = 32_768.0
SILENCE_DBFS = -120.0
"""What `rms_dbfs` and `peak_dbfs` report for digital silence and for no samples at all."""


def pcm16_to_bytes(samples: Pcm16) -> bytes:
    """Return the samples as little-endian bytes."""
    return np.ascontiguousarray(samples, dtype="<i2").tobytes()


def pcm16_from_bytes(data: bytes | bytearray | memoryview) -> Pcm16:
    """Return the samples in little-endian PCM16 bytes, as a read-only view where the machine allows.

    Raises:
        AudioError: the number of bytes is odd.
    """
    if len(data) % 2:
        raise AudioError(
            f"PCM16 audio has two bytes a sample, but {len(data)} bytes arrived.",
            what_now="Send whole samples, or check that the audio is really PCM16.",
        )
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)


def pcm16_from_float(samples: npt.ArrayLike) -> Pcm16:
    """Return floats in -1 to 1 as PCM16, louder values clipped; any shape.

    Raises:
        AudioError: a value is NaN or infinite.
    """
    array = np.asarray(samples, dtype=np.float64)
    if not np.isfinite(array).all():
        raise AudioError(
            "The audio holds values that are not numbers (NaN or infinity).",
            what_now="Check the step that made it, usually a division by zero.",
        )
    return np.clip(np.rint(array * FULL_SCALE), -32_768, 32_767).astype(np.int16)


def pcm16_to_float(samples: Pcm16) -> npt.NDArray[np.float32]:
    """Return PCM16 as float32 in -1 to 1."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def to_mono(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the mean of the channels of `(n_samples,)` or `(n_samples, n_channels)` float audio.

    Raises:
        AudioError: the array has another shape.
    """
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise AudioError(
            f"Audio must have the shape (samples,) or (samples, channels), not {samples.shape}.",
            what_now="Reshape or transpose the array.",
        )
    return samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]


def rms_dbfs(samples: Pcm16) -> float:
    """Return the root mean square level in dB below full scale, `SILENCE_DBFS` at the least."""
    if not len(samples):
        return SILENCE_DBFS
    mean_square = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DBFS, 10 * math.log10(mean_square / FULL_SCALE**2)) if mean_square else SILENCE_DBFS


def peak_dbfs(samples: Pcm16) -> float:
    """Return the level of the loudest sample in dB below full scale, `SILENCE_DBFS` at the least."""
    peak = int(np.abs(samples.astype(np.int32)).max()) if len(samples) else 0
    return 20 * math.log10(peak / FULL_SCALE) if peak else SILENCE_DBFS
