"""A synthesizer that speaks tones."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterable, Sequence

import anyio
import numpy as np

from realtime_nb.engines.base import SYNTHESIZER_SAMPLE_RATE_HZ, Capabilities, Pcm16, SynthesizedChunk, WordTime
from realtime_nb.engines.scripted.script import LICENCE, Script, ScriptedCrash, ScriptedDelays, Sleep
from realtime_nb.errors import EngineUnavailable

VOICE_FREQUENCIES_HZ: dict[str, int] = {
    "alloy": 330,
    "ash": 220,
    "ballad": 262,
    "coral": 494,
    "echo": 247,
    "sage": 392,
    "shimmer": 587,
    "verse": 294,
    "marin": 523,
    "cedar": 196,
}
"""Tone of each voice of `ScriptedSynthesizer`, in hertz."""

_GAP_MS = 50
_CHUNK_MS = 100
_EDGE_MS = 10


class ScriptedSynthesizer(Script):
    """Speaks tones: each word a burst of 150 to 200 ms at the voice's frequency, 50 ms of silence between words."""

    capabilities = Capabilities(
        name="scripted-tones",
        licence=LICENCE,
        description="a tone for every word",
        streaming=True,
        word_times=True,
        voices=tuple(VOICE_FREQUENCIES_HZ),
    )

    def __init__(
        self,
        *,
        delays: ScriptedDelays | None = None,
        crashes: Iterable[ScriptedCrash] = (),
        seed: int = 0,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        super().__init__("scripted synthesizer", delays or ScriptedDelays(), crashes, seed, sleep)

    async def speak(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> AsyncIterator[SynthesizedChunk]:
        if voice not in VOICE_FREQUENCIES_HZ:
            raise EngineUnavailable(
                f"The scripted synthesizer has no voice {voice!r}.",
                what_now=f"Choose one of: {', '.join(VOICE_FREQUENCIES_HZ)}.",
            )
        call, rng = self.next_call()
        self.maybe_crash(call, 0)
        times = word_times(text, speed=speed)
        samples = _tones(times, VOICE_FREQUENCIES_HZ[voice])
        await self.pause(self.delays.first_audio_ms, rng)
        chunk_samples = _CHUNK_MS * SYNTHESIZER_SAMPLE_RATE_HZ // 1000
        for count, start in enumerate(range(0, len(samples), chunk_samples), start=1):
            piece = samples[start : start + chunk_samples]
            start_ms = (count - 1) * _CHUNK_MS
            begun = tuple(time for time in times if start_ms <= time.start_ms < start_ms + _CHUNK_MS)
            yield SynthesizedChunk(pcm16=piece, words=begun)
            self.maybe_crash(call, count)
            await self._sleep(len(piece) / SYNTHESIZER_SAMPLE_RATE_HZ * self.delays.pace)


def word_times(text: str, *, speed: float = 1.0) -> tuple[WordTime, ...]:
    """Return when each word of `text` sounds in `ScriptedSynthesizer`'s speech, exactly."""
    times, at_ms = [], 0
    for word in text.split():
        length_ms = round((150 + zlib.crc32(word.encode()) % 51) / speed)
        times.append(WordTime(word, at_ms, at_ms + length_ms))
        at_ms += length_ms + round(_GAP_MS / speed)
    return tuple(times)


def _tones(times: Sequence[WordTime], frequency_hz: int) -> Pcm16:
    per_ms = SYNTHESIZER_SAMPLE_RATE_HZ // 1000
    samples = np.zeros((times[-1].end_ms if times else 0) * per_ms, np.int16)
    ramp = np.linspace(0.0, 1.0, _EDGE_MS * per_ms)
    for time in times:
        phase = np.arange((time.end_ms - time.start_ms) * per_ms) * (
            2 * np.pi * frequency_hz / SYNTHESIZER_SAMPLE_RATE_HZ
        )
        tone = np.sin(phase) * 9000
        tone[: len(ramp)] *= ramp
        tone[-len(ramp) :] *= ramp[::-1]
        samples[time.start_ms * per_ms : time.end_ms * per_ms] = tone.astype(np.int16)
    return samples
