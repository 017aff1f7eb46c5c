"""The audio format of the wire, and the arithmetic between milliseconds and samples."""

from __future__ import annotations

WIRE_SAMPLE_RATE_HZ = 24_000
"""Rate of PCM16 audio on the realtime wire, mono."""

BYTES_PER_SAMPLE = 2
PCM16_BYTES_PER_MS = WIRE_SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000

MIN_SAMPLE_RATE_HZ = 4_000
MAX_SAMPLE_RATE_HZ = 384_000
MAX_CLIP_SECONDS = 3_600


def samples_to_ms(n_samples: int, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ) -> float:
    """Return how long `n_samples` last, in milliseconds, unrounded."""
    return n_samples * 1000 / sample_rate_hz


def ms_to_samples(duration_ms: float, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ) -> int:
    """Return the number of whole samples in `duration_ms`, rounded down.

    A float that misses a whole sample by less than a millionth counts as that sample, so that
    `ms_to_samples(samples_to_ms(n, rate), rate) == n`.
    """
    return int(duration_ms * sample_rate_hz / 1000 + 1e-6)
