"""Noise reduction: false alarms of the detector, turns found, and word errors, with and without.

    python benchmarks/noise_reduction.py [--snr 10 5] [--noise-seconds 30]

Noise: a fan (pink noise with a 120 Hz hum) and a keyboard-like clatter, made here from a fixed seed. Speech: the
bundled clips, each after 2 s and before 1 s of the noise, at a signal-to-noise ratio of the speech's own level. The
detector is the offline one behind the real turn detector, the recogniser the offline one fed with the whole clip.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import time

import numpy as np

from realtime_nb.audio import bundled
from realtime_nb.audio.resample import resample
from realtime_nb.engines import noise_suppression, pocketsphinx_engine, vad
from realtime_nb.engines.base import Pcm16
from realtime_nb.engines.spoken_text import spoken_words
from realtime_nb.engines.turn_detector import SpeechDetector, SpeechStarted

RATE_HZ = 24_000
LEAD_S, TAIL_S = 2, 1
KINDS = (None, "near_field", "far_field")
Floats = np.ndarray


def pink(n: int, rng: np.random.Generator) -> Floats:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def fan(n: int, rng: np.random.Generator) -> Floats:
    hum = np.sin(2 * np.pi * 120 * np.arange(n) / RATE_HZ)
    both = pink(n, rng) + 0.7 * hum
    return both / both.std()


def clatter(n: int, rng: np.random.Generator) -> Floats:
    clicks = 0.15 * pink(n, rng)
    decay = np.exp(-np.arange(RATE_HZ // 50) / (RATE_HZ / 400))
    for at in np.cumsum(rng.integers(RATE_HZ // 12, RATE_HZ // 3, size=n // (RATE_HZ // 12))):
        if at + len(decay) < n:
            clicks[at : at + len(decay)] += 6 * rng.standard_normal(len(decay)) * decay
    return clicks / clicks.std()


NOISES = {"fan": fan, "clatter": clatter}


def as_pcm16(samples: Floats) -> Pcm16:
    return samples.round().clip(-32768, 32767).astype(np.int16)


def reduce(kind: str | None, pcm16: Pcm16) -> tuple[Pcm16, float]:
    """Return the audio as the server keeps it, and the cost in ms per 20 ms."""
    if kind is None:
        return pcm16, 0.0
    suppressor = noise_suppression.create(kind, RATE_HZ)
    began = time.process_time()
    clean = [suppressor.process(pcm16[at : at + 480]) for at in range(0, len(pcm16), 480)]
    return np.concatenate(clean), (time.process_time() - began) * 1000 / len(clean)


def starts(pcm16: Pcm16) -> list[int]:
    detector = SpeechDetector(vad.create(), sample_rate_hz=RATE_HZ)
    signals = [one for at in range(0, len(pcm16), 480) for one in detector.feed(pcm16[at : at + 480])]
    return [signal.onset_ms for signal in signals if isinstance(signal, SpeechStarted)]


def errors(said: str, heard: str) -> tuple[int, int]:
    want, got = spoken_words(said), spoken_words(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(want, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1], len(want)


async def heard(transcriber, pcm16: Pcm16) -> str:  # type: ignore[no-untyped-def]
    stream = await transcriber.open()
    stream.feed(resample(pcm16, RATE_HZ, 16_000))
    return (await stream.finish()).text


async def measure(snrs_db: list[float], noise_s: int) -> None:
    transcriber = pocketsphinx_engine.create()
    await transcriber.start()
    clips = [clip for clip in bundled.clips().values() if clip.transcript]
    print(f"{platform.machine()}, Python {platform.python_version()}, {len(clips)} clips, seed 0")
    for name, make in NOISES.items():
        for snr_db in snrs_db:
            print(f"\n{name}, {snr_db:g} dB")
            print("  reduction    false starts    turns found    word errors         ms per 20 ms")
            for kind in KINDS:
                rng = np.random.default_rng(0)
                alone = make(noise_s * RATE_HZ, rng)
                typical = np.mean([np.std(clip.samples) for clip in clips])
                quiet, cost = reduce(kind, as_pcm16(alone * typical / 10 ** (snr_db / 20)))
                false, found, wrong, words = len(starts(quiet)), 0, 0, 0
                for clip in clips:
                    speech = clip.samples.astype(np.float64)
                    padded = np.concatenate([np.zeros(LEAD_S * RATE_HZ), speech, np.zeros(TAIL_S * RATE_HZ)])
                    noisy = padded + make(len(padded), rng) * speech.std() / 10 ** (snr_db / 20)
                    clean, _ = reduce(kind, as_pcm16(noisy))
                    onsets = starts(clean)
                    found += any(onset > LEAD_S * 1000 - 300 for onset in onsets)
                    false += sum(onset <= LEAD_S * 1000 - 300 for onset in onsets)
                    turn = clean[int((LEAD_S - 0.3) * RATE_HZ) : len(clean) - RATE_HZ // 2]
                    mistakes, length = errors(clip.transcript, await heard(transcriber, turn))
                    wrong, words = wrong + mistakes, words + length
                seconds = noise_s + LEAD_S * len(clips)
                print(
                    f"  {kind or 'none':<12}{false:>3} in {seconds} s    {found:>3} of {len(clips)}      "
                    f"{wrong:>3} of {words} ({100 * wrong / words:.0f} %)   {cost:>10.2f}",
                    flush=True,
                )
    await transcriber.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snr", type=float, nargs="+", default=[15.0, 5.0], metavar="DB")
    parser.add_argument("--noise-seconds", type=int, default=30)
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.snr, chosen.noise_seconds))
