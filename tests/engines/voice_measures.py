"""What the tests of both voice engines measure and ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import numpy as np

from realtime_nb.audio.pcm import peak_dbfs, rms_dbfs
from realtime_nb.engines.base import SynthesizedChunk
from realtime_nb.engines.worker_synthesizer import WorkerSynthesizer

RATE_HZ = 24_000
SENTENCES = (
    "I had two eggs and a banana for breakfast.",
    "Your order number four two seven is on its way, and should arrive on Tuesday.",
    "The weather in Paris is sunny today.",
)
_FRAME, _HOP = 1_200, 480


class Voice(NamedTuple):
    """Measures of a voice's speech."""

    rms_dbfs: float
    peak_dbfs: float
    median_f0_hz: float
    spectral_centroid_hz: float
    seconds: float


@asynccontextmanager
async def started(synthesizer: WorkerSynthesizer) -> AsyncIterator[WorkerSynthesizer]:
    """Start and end a synthesizer."""
    await synthesizer.start()
    try:
        yield synthesizer
    finally:
        await synthesizer.aclose()


async def spoken(synthesizer: WorkerSynthesizer, text: str, **options: object) -> list[SynthesizedChunk]:
    """Return all chunks."""
    return [chunk async for chunk in synthesizer.speak(text, **options)]


def joined(chunks: list[SynthesizedChunk]) -> np.ndarray:
    """Return the audio of all chunks."""
    return np.concatenate([chunk.pcm16 for chunk in chunks])


def measured(samples: np.ndarray) -> Voice:
    """Measure speech."""
    pitches, centroids = [], []
    frequencies = np.fft.rfftfreq(_FRAME, 1 / RATE_HZ)
    shortest, longest = RATE_HZ // 420, RATE_HZ // 55
    for start in range(0, len(samples) - _FRAME, _HOP):
        frame = samples[start : start + _FRAME].astype(float)
        frame -= frame.mean()
        if frame.std() < 600:
            continue
        power = np.abs(np.fft.rfft(frame * np.hanning(_FRAME))) ** 2
        centroids.append((power * frequencies).sum() / power.sum())
        correlation = np.correlate(frame, frame, "full")[_FRAME - 1 :]
        lag = shortest + correlation[shortest:longest].argmax()
        if correlation[lag] > 0.5 * correlation[0]:
            pitches.append(RATE_HZ / lag)
    return Voice(
        rms_dbfs(samples),
        peak_dbfs(samples),
        float(np.median(pitches)),
        float(np.mean(centroids)),
        len(samples) / RATE_HZ,
    )


async def all_voices(synthesizer: WorkerSynthesizer) -> dict[str, Voice]:
    """Measure every voice on the same sentences."""
    measures = {}
    for voice in synthesizer.capabilities.voices:
        parts = [joined(await spoken(synthesizer, sentence, voice=voice)) for sentence in SENTENCES]
        measures[voice] = measured(np.concatenate(parts))
    return measures


def differ(one: Voice, other: Voice) -> bool:
    """Whether an ear can tell two voices apart: 5 % in pitch, 8 % in brightness, or 8 % in tempo."""

    def apart(a: float, b: float, share: float) -> bool:
        return abs(a - b) / max(a, b) > share

    return (
        apart(one.median_f0_hz, other.median_f0_hz, 0.05)
        or apart(one.spectral_centroid_hz, other.spectral_centroid_hz, 0.08)
        or apart(one.seconds, other.seconds, 0.08)
    )
