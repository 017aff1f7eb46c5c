"""Speech for tests, 16 kHz, made by the flite program with known edges."""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from realtime_nb.engines.base import Pcm16

RATE_HZ = 16_000


@functools.lru_cache(maxsize=64)
def speech(text: str, voice: str = "slt") -> Pcm16:
    """Return flite's speech of the text, its own leading and trailing silence cut away."""
    if shutil.which("flite") is None:
        pytest.skip("the flite program is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        data = path.read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() in (8_000, RATE_HZ)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        if file.getframerate() == 8_000:
            samples = np.repeat(samples, 2)
    hops = samples[: len(samples) // 80 * 80].reshape(-1, 80).astype(np.float64)
    level = np.sqrt((hops**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() / 100)
    return samples[loud[0] * 80 : (loud[-1] + 1) * 80]


def silence(ms: float) -> Pcm16:
    """Return digital silence."""
    return np.zeros(int(ms * 16), np.int16)


SLOPES = {"white": 0.0, "pink": 0.5, "brown": 1.0}


def noise(ms: float, dbfs: float, colour: str, seed: int = 1) -> Pcm16:
    """Return steady noise of that RMS level."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=int(ms * 16)))
    shaped = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** SLOPES[colour], int(ms * 16))
    return _at_level(shaped - shaped.mean(), dbfs)


def pink_noise(ms: float, dbfs: float, seed: int = 1) -> Pcm16:
    """Return pink noise of that RMS level."""
    return noise(ms, dbfs, "pink", seed)


def hum(ms: float, dbfs: float, seed: int = 1) -> Pcm16:
    """Return a machine's hum: harmonics of one frequency and a little hiss."""
    rng = np.random.default_rng(seed)
    seconds, frequency_hz = np.arange(int(ms * 16)) / RATE_HZ, rng.uniform(50, 400)
    phases = rng.uniform(0, 2 * np.pi, 7)
    tones = [np.sin(2 * np.pi * frequency_hz * n * seconds + phases[n - 1]) / n for n in range(1, 8)]
    return _at_level(np.sum(tones, axis=0) + rng.normal(size=len(seconds)) * 0.05, dbfs)


def clatter(ms: float, dbfs: float, seed: int = 1) -> Pcm16:
    """Return a kitchen: short bursts of noise that die away, four a second."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=int(ms * 16)) * 0.02
    for _ in range(int(ms / 250)):
        start, size = int(rng.integers(0, len(sound) - 1600)), int(rng.integers(300, 1600))
        sound[start : start + size] += rng.normal(size=size) * np.exp(-np.arange(size) / (size / 4))
    return _at_level(sound, dbfs)


def _at_level(sound: npt.NDArray[np.float64], dbfs: float) -> Pcm16:
    return np.asarray(np.clip(sound / sound.std() * 32768 * 10 ** (dbfs / 20), -32768, 32767)).astype(np.int16)


def mix(first: Pcm16, second: Pcm16) -> Pcm16:
    """Return the sum of two clips of one length."""
    return np.clip(first.astype(np.int32) + second, -32768, 32767).astype(np.int16)
