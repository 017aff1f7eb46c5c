from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.audio.format import PCM16_BYTES_PER_MS, ms_to_samples, samples_to_ms


def test_wire_audio_has_48_bytes_a_millisecond():
    assert PCM16_BYTES_PER_MS == 48
    assert ms_to_samples(20) == 480
    assert samples_to_ms(480) == 20


def test_milliseconds_round_down_to_whole_samples():
    assert ms_to_samples(0.99, 1_000) == 0


@given(st.integers(0, 10**9), st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]))
def test_samples_survive_the_way_through_milliseconds(n_samples: int, rate_hz: int):
    assert ms_to_samples(samples_to_ms(n_samples, rate_hz), rate_hz) == n_samples
