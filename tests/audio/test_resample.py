import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.audio.resample import Resampler, resample
from realtime_nb.errors import AudioError

PAIRS = [(24_000, 16_000), (16_000, 24_000), (24_000, 8_000), (8_000, 24_000), (22_050, 24_000), (48_000, 24_000)]
pairs = st.sampled_from([*PAIRS, (44_100, 24_000), (24_000, 24_000)])


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0, amplitude: float = 26_000) -> np.ndarray:
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def tone_fit(samples: np.ndarray, frequency_hz: float, rate_hz: int) -> tuple[float, float, float]:
    """Return amplitude, phase and signal-to-rest ratio in dB of a tone, the edges left out."""
    times = np.arange(len(samples)) / rate_hz
    basis = np.stack([np.sin(2 * np.pi * frequency_hz * times), np.cos(2 * np.pi * frequency_hz * times)], axis=1)
    inner = slice(len(samples) // 20, -len(samples) // 20)
    weights = np.linalg.lstsq(basis[inner], samples[inner].astype(float), rcond=None)[0]
    fitted = basis[inner] @ weights
    ratio_db = 10 * math.log10(np.var(fitted) / np.var(samples[inner] - fitted))
    return float(np.hypot(*weights)), float(np.arctan2(weights[1], weights[0])), ratio_db


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("share_of_nyquist", [0.05, 0.3, 0.6, 0.75])
def test_tones_keep_level_and_phase_at_90_db(from_hz: int, to_hz: int, share_of_nyquist: float):
    frequency_hz = share_of_nyquist * min(from_hz, to_hz) / 2
    amplitude, phase, ratio_db = tone_fit(resample(tone(frequency_hz, from_hz), from_hz, to_hz), frequency_hz, to_hz)
    assert ratio_db > 90 - 20 * math.log10(32_767 / 26_000)  # a full-scale tone has that much more above the rounding
    assert amplitude == pytest.approx(26_000, rel=0.005)
    assert abs(phase) < 0.001


@pytest.mark.parametrize(("from_hz", "to_hz"), [(24_000, 16_000), (24_000, 8_000), (48_000, 24_000)])
def test_what_the_lower_rate_cannot_hold_is_gone(from_hz: int, to_hz: int):
    output = resample(tone(to_hz / 2 * 1.15, from_hz), from_hz, to_hz)[200:-200]
    assert 20 * math.log10(max(np.abs(output.astype(int)).max(), 1) / 26_000) < -80


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_no_audio_is_held_back(from_hz: int, to_hz: int):
    resampler = Resampler(from_hz, to_hz)
    impulse = np.zeros(from_hz // 50, dtype=np.int16)
    impulse[0] = 30_000
    output = resampler.process(impulse)
    assert len(output) == math.ceil(len(impulse) * to_hz / from_hz)
    assert resampler.group_delay_ms < 2.5
    assert np.abs(output).argmax() == pytest.approx(resampler.group_delay_ms * to_hz / 1000, abs=1)


@settings(max_examples=60, deadline=None)
@given(pairs, st.integers(0, 3_000), st.lists(st.integers(0, 700), max_size=8), st.integers(0, 99))
def test_chunking_changes_nothing(pair: tuple[int, int], n_samples: int, cuts: list[int], seed: int):
    signal = np.random.default_rng(seed).integers(-32_768, 32_768, n_samples).astype(np.int16)
    whole, parts = Resampler(*pair), Resampler(*pair)
    expected = np.concatenate((whole.process(signal), whole.flush()))
    pieces = np.split(signal, np.minimum(np.cumsum(cuts), n_samples).astype(int))
    actual = np.concatenate([*(parts.process(piece) for piece in pieces), parts.flush()])
    assert np.array_equal(actual, expected)


@settings(deadline=None)
@given(pairs, st.integers(0, 5_000))
def test_one_shot_length_is_exact(pair: tuple[int, int], n_samples: int):
    from_hz, to_hz = pair
    output = resample(np.ones(n_samples, dtype=np.int16), from_hz, to_hz)
    assert len(output) == math.floor(n_samples * to_hz / from_hz + 0.5)
    assert output.dtype == np.int16


def test_a_flushed_stream_starts_afresh():
    resampler = Resampler(16_000, 24_000)
    first = np.concatenate((resampler.process(tone(440, 16_000, 0.1)), resampler.flush()))
    second = np.concatenate((resampler.process(tone(440, 16_000, 0.1)), resampler.flush()))
    assert np.array_equal(first, second)


def test_equal_rates_copy():
    signal = tone(440, 24_000, 0.1)
    output = resample(signal, 24_000, 24_000)
    assert np.array_equal(output, signal)
    assert output is not signal


def test_full_scale_noise_is_clipped_and_does_not_wrap():
    square = np.where(np.arange(4_000) // 40 % 2, 32_767, -32_768).astype(np.int16)
    output = resample(square, 16_000, 24_000).astype(int)
    assert np.array_equal(np.sign(output[30::60]), np.sign(square[20::40].astype(int)))


@pytest.mark.parametrize("rate_hz", [0, -1, 3_999, 384_001])
def test_absurd_rates_are_errors(rate_hz: int):
    with pytest.raises(AudioError, match="sample rate"):
        Resampler(rate_hz, 24_000)
    with pytest.raises(AudioError, match="sample rate"):
        resample(np.zeros(4, dtype=np.int16), 24_000, rate_hz)
