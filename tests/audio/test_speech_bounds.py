import numpy as np
import pytest

from realtime_nb.audio.speech_bounds import speech_bounds_ms


def with_noise(samples: np.ndarray, level: float) -> np.ndarray:
    return samples + np.random.default_rng(0).normal(0, level, len(samples))


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
@pytest.mark.parametrize("noise", [0, 5, 50])
def test_a_burst_is_found_to_5_ms_in_silence_and_in_noise(rate_hz: int, noise: float):
    samples = np.zeros(rate_hz)
    burst = slice(rate_hz * 300 // 1000, rate_hz * 700 // 1000)
    samples[burst] = 8_000 * np.sin(np.arange(rate_hz)[burst] * 0.3)
    bounds = speech_bounds_ms(with_noise(samples, noise).astype(np.int16), rate_hz)
    assert bounds == (pytest.approx(300, abs=5), pytest.approx(700, abs=5))


@pytest.mark.parametrize("rate_hz", [11_025, 22_050, 44_100])
def test_bounds_do_not_drift_where_5_ms_are_no_whole_samples(rate_hz: int):
    samples = np.zeros(20 * rate_hz)
    burst = slice(18 * rate_hz, 19 * rate_hz)
    samples[burst] = 8_000 * np.sin(np.arange(20 * rate_hz)[burst] * 0.3)
    bounds = speech_bounds_ms(samples.astype(np.int16), rate_hz)
    assert bounds == (pytest.approx(18_000, abs=5), pytest.approx(19_000, abs=5))


def test_a_click_is_not_speech():
    samples = with_noise(np.zeros(24_000), 20)
    samples[12_000:12_100] = 20_000
    assert speech_bounds_ms(samples.astype(np.int16), 24_000) is None


def test_silence_and_nothing_have_no_bounds():
    assert speech_bounds_ms(np.zeros(24_000, dtype=np.int16), 24_000) is None
    assert speech_bounds_ms(np.zeros(3, dtype=np.int16), 24_000) is None
