from __future__ import annotations

import numpy as np
import pytest

from realtime_nb.audio import bundled
from realtime_nb.audio.pitch import HOP_MS, pitch_track


def voice(f0_hz: float, *, rate: int = 24_000, seconds: float = 0.5) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    harmonics = sum(np.sin(2 * np.pi * f0_hz * k * times) / k for k in range(1, 8))
    return (6000 * harmonics).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
@pytest.mark.parametrize("f0_hz", [75.0, 110.0, 220.0, 350.0])
def test_a_steady_voice_is_found_within_half_a_percent(f0_hz: float, rate: int) -> None:
    track = pitch_track(voice(f0_hz, rate=rate), rate)
    assert np.nanmedian(track.f0_hz) == pytest.approx(f0_hz, rel=0.005)
    assert not np.isnan(track.f0_hz).any()


def test_noise_and_silence_are_unvoiced() -> None:
    noise = (np.random.default_rng(1).normal(0, 3000, 24_000)).astype(np.int16)
    assert np.isnan(pitch_track(noise, 24_000).f0_hz).mean() > 0.9
    silence = pitch_track(np.zeros(24_000, np.int16), 24_000)
    assert np.isnan(silence.f0_hz).all()
    assert silence.energy_db.max() < -100


def test_a_falling_voice_falls() -> None:
    rate, seconds = 16_000, 1.0
    f0 = np.linspace(220, 110, int(rate * seconds))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    track = pitch_track((9000 * (np.sin(phase) + 0.5 * np.sin(2 * phase))).astype(np.int16), rate)
    assert np.all(np.diff(track.f0_hz[5:-5]) < 1)
    assert track.f0_hz[3] > 200
    assert track.f0_hz[-3] < 125


def test_frames_are_ten_milliseconds_apart_and_too_short_is_empty() -> None:
    track = pitch_track(voice(100), 24_000)
    assert np.allclose(np.diff(track.times_ms), HOP_MS)
    assert pitch_track(np.zeros(10, np.int16), 24_000).times_ms.size == 0


def test_real_speech_has_a_plausible_pitch() -> None:
    for name in ("go_forward", "book_reading"):
        clip = bundled.clip(name)
        f0 = pitch_track(clip.samples, clip.sample_rate_hz).f0_hz
        assert 80 < np.nanmedian(f0) < 260
        assert 0.15 < np.mean(~np.isnan(f0)) < 0.9
