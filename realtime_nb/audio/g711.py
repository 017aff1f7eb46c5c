"""G.711 µ-law and A-law, 8 bits a sample, by table lookup. Bit-exact with ITU-T G.711 for PCM16.

Encoders take `numpy.int16` arrays and return bytes; decoders go the other way. Both are for one
channel, at whatever rate (8 kHz on the telephone).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]
_Table16 = npt.NDArray[np.int16]
_Table8 = npt.NDArray[np.uint8]

_MULAW_BIAS = 33
_MULAW_LOUDEST = 8_159


def _segment(magnitude: npt.NDArray[np.int32], lowest_bits: int) -> npt.NDArray[np.int32]:
    """Return the chord, 0 upward: how many bits the magnitude needs beyond `lowest_bits`."""
    bits = np.frexp(magnitude.astype(np.float64))[1].astype(np.int32)
    return np.maximum(bits - lowest_bits, 0)


@lru_cache(maxsize=1)
def _mulaw_encoding() -> _Table8:
    value = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(value), _MULAW_LOUDEST) + _MULAW_BIAS
    chord = _segment(magnitude, 6)
    code = np.where(chord > 7, 0x7F, (chord << 4) | ((magnitude >> (chord + 1)) & 0x0F))
    return (code ^ np.where(value < 0, 0x7F, 0xFF)).astype(np.uint8)


@lru_cache(maxsize=1)
def _mulaw_decoding() -> _Table16:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 4 * _MULAW_BIAS) << ((code >> 4) & 7)) - 4 * _MULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


@lru_cache(maxsize=1)
def _alaw_encoding() -> _Table8:
    value = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 3
    magnitude = np.where(value < 0, -value - 1, value)
    chord = _segment(magnitude, 5)
    code = (chord << 4) | ((magnitude >> np.maximum(chord, 1)) & 0x0F)
    return (code ^ np.where(value < 0, 0x55, 0xD5)).astype(np.uint8)


@lru_cache(maxsize=1)
def _alaw_decoding() -> _Table16:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    chord = (code >> 4) & 7
    step = ((code & 0x0F) << 4) + np.where(chord == 0, 8, 0x108)
    magnitude = step << np.maximum(chord - 1, 0)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def encode_mulaw(pcm16: Pcm16) -> bytes:
    """Return one µ-law byte for each sample."""
    return _mulaw_encoding()[np.asarray(pcm16, dtype=np.int16).view(np.uint16)].tobytes()


def decode_mulaw(data: bytes | bytearray | memoryview) -> Pcm16:
    """Return one PCM16 sample for each µ-law byte."""
    return np.take(_mulaw_decoding(), np.frombuffer(data, dtype=np.uint8))


def encode_alaw(pcm16: Pcm16) -> bytes:
    """Return one A-law byte for each sample."""
    return _alaw_encoding()[np.asarray(pcm16, dtype=np.int16).view(np.uint16)].tobytes()


def decode_alaw(data: bytes | bytearray | memoryview) -> Pcm16:
    """Return one PCM16 sample for each A-law byte."""
    return np.take(_alaw_decoding(), np.frombuffer(data, dtype=np.uint8))
