import numpy as np
import pytest

from realtime_nb.audio import pcm
from realtime_nb.errors import AudioError


def test_bytes_and_samples_are_the_same_little_endian_audio():
    samples = np.array([0, 1, -1, 32_767, -32_768], dtype=np.int16)
    data = pcm.pcm16_to_bytes(samples)
    assert data == b"\x00\x00\x01\x00\xff\xff\xff\x7f\x00\x80"
    assert pcm.pcm16_from_bytes(data).tolist() == samples.tolist()


def test_half_a_sample_is_an_error():
    with pytest.raises(AudioError, match="3 bytes"):
        pcm.pcm16_from_bytes(b"abc")


def test_floats_are_scaled_rounded_and_clipped():
    assert pcm.pcm16_from_float([0.0, 0.5, -1.0, 1.0, 7.0, -7.0]).tolist() == [
        *(0, 16_384, -32_768, 32_767, 32_767, -32_768)
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_an_error(bad: float):
    with pytest.raises(AudioError, match="not numbers"):
        pcm.pcm16_from_float([0.0, bad])


def test_every_sample_survives_the_way_through_floats():
    samples = np.arange(-32_768, 32_768).astype(np.int16)
    assert np.array_equal(pcm.pcm16_from_float(pcm.pcm16_to_float(samples)), samples)


def test_mono_is_the_mean_of_the_channels():
    assert pcm.to_mono(np.array([[1.0, 3.0], [0.0, -2.0]])).tolist() == [2.0, -1.0]
    with pytest.raises(AudioError, match="shape"):
        pcm.to_mono(np.zeros((2, 2, 2)))


def test_levels():
    square = np.tile(np.array([16_384, -16_384], dtype=np.int16), 100)
    assert pcm.rms_dbfs(square) == pytest.approx(-6.02, abs=0.01)
    assert pcm.peak_dbfs(np.array([0, -32_768], dtype=np.int16)) == 0.0
    empty = np.zeros(0, dtype=np.int16)
    assert pcm.rms_dbfs(empty) == pcm.peak_dbfs(empty) == pcm.rms_dbfs(np.zeros(9, np.int16)) == pcm.SILENCE_DBFS
