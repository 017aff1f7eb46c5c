"""Fundamental frequency and energy over time, by normalised autocorrelation.

The method is Boersma's (1993): the autocorrelation of a windowed frame divided by that of the window, its highest peak
in the voice's range refined by a parabola. Compared with Praat on speech, such a tracker's median difference is about
0.03 % (reported by this project's engine measurements); octave errors are not repaired.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MIN_F0_HZ = 60.0
MAX_F0_HZ = 400.0
HOP_MS = 10
VOICING_THRESHOLD = 0.45
QUIETEST_VOICED_DB = -35.0
"""Frames quieter than this below the loudest are not voiced, whatever their correlation."""

_BLOCK_FRAMES = 512
"""Analysed at once: an hour must not need gigabytes."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class PitchTrack(NamedTuple):
    """One value every 10 ms.

    Attributes:
        times_ms: middle of each frame, (n_frames,).
        f0_hz: fundamental frequency, NaN where unvoiced.
        energy_db: relative to full scale.
    """

    times_ms: Floats
    f0_hz: Floats
    energy_db: Floats


def pitch_track(pcm16: npt.NDArray[np.int16], sample_rate_hz: int) -> PitchTrack:
    """Return F0 and energy of mono speech.

    Args:
        pcm16: int16, shape (n_samples,).
        sample_rate_hz: at least 4,000.
    """
    frame_length = int(sample_rate_hz * 3 / MIN_F0_HZ)
    hop = sample_rate_hz * HOP_MS // 1000
    samples = pcm16.astype(np.float64) / 32768
    n_frames = max(0, 1 + (len(samples) - frame_length) // hop)
    if n_frames == 0:
        nothing = np.zeros(0)
        return PitchTrack(nothing, nothing, nothing)
    starts = np.arange(n_frames) * hop
    blocks = [
        _frame_pitch(samples, starts[first : first + _BLOCK_FRAMES], frame_length, sample_rate_hz)
        for first in range(0, n_frames, _BLOCK_FRAMES)
    ]
    f0, strength, energy_db = (np.concatenate(column) for column in zip(*blocks, strict=True))
    voiced = (strength > VOICING_THRESHOLD) & (energy_db > energy_db.max() + QUIETEST_VOICED_DB)
    times_ms = (starts + frame_length / 2) * 1000 / sample_rate_hz
    return PitchTrack(times_ms, np.where(voiced, f0, np.nan), energy_db)


def _frame_pitch(samples: Floats, starts: Ints, frame_length: int, sample_rate_hz: int) -> tuple[Floats, ...]:
    frames = samples[starts[:, None] + np.arange(frame_length)]
    energy_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(frame_length)
    kept = int(sample_rate_hz / MIN_F0_HZ) + 1
    correlation = _autocorrelation(frames * window, kept) / _autocorrelation(window[None, :], kept)
    return (*_best_lags(correlation, sample_rate_hz), energy_db)


def _autocorrelation(frames: Floats, n_lags: int) -> Floats:
    """Return the first lags of every row's autocorrelation, 1 at lag 0 (0 for silence)."""
    size = 1 << (frames.shape[1] + n_lags - 1).bit_length()
    spectrum = np.fft.rfft(frames, size, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :n_lags]
    return correlation / np.maximum(correlation[:, :1], 1e-12)


def _best_lags(correlation: Floats, sample_rate_hz: int) -> tuple[Floats, Floats]:
    shortest, longest = int(sample_rate_hz / MAX_F0_HZ), int(sample_rate_hz / MIN_F0_HZ)
    lags = np.arange(shortest, longest)
    # Short lags win ties: a period fits as well at twice its length.
    preferred = correlation[:, shortest:longest] - 0.02 * np.log2(lags / shortest)
    best = np.clip(preferred.argmax(axis=1) + shortest, shortest + 1, longest - 2)
    rows = np.arange(len(correlation))
    before, peak, after = (correlation[rows, best + shift] for shift in (-1, 0, 1))
    curvature = before - 2 * peak + after
    shift = np.where(np.abs(curvature) > 1e-9, 0.5 * (before - after) / np.where(curvature == 0, 1, curvature), 0.0)
    return sample_rate_hz / (best + np.clip(shift, -0.5, 0.5)), peak
