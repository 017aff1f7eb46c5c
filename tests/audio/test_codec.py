from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.audio import AudioClip, codec
from realtime_nb.audio.codec import CODECS, MEDIA_TYPES, MP3_DELAY_MS, CodecName, encode_audio, open_encoder
from realtime_nb.audio.pcm import Pcm16
from realtime_nb.errors import ConfigurationError

RATE_HZ = 24_000
FILES: list[CodecName] = [codec for codec in CODECS if codec != "pcm"]
LATE_MS = {"mp3": MP3_DELAY_MS}


def sweep(duration_ms: int = 1500) -> Pcm16:
    """Something that matches itself at one place only, with the spectrum of a voice."""
    times = np.arange(duration_ms * RATE_HZ // 1000) / RATE_HZ
    noise = np.random.default_rng(0).standard_normal(len(times))
    return (8000 * np.sin(2 * np.pi * (200 + 400 * times) * times) + 300 * noise).astype(np.int16)


def streamed(pcm16: Pcm16, codec: CodecName, step: int = 2400) -> tuple[bytes, list[int]]:
    """The bytes of a stream, and how many of them each piece of audio brought."""
    encoder = open_encoder(codec)
    pieces = [encoder.encode(pcm16[start : start + step]) for start in range(0, len(pcm16), step)]
    return b"".join(pieces) + encoder.finish(), [len(piece) for piece in pieces]


def matches(decoded: Pcm16, original: Pcm16, late_ms: float) -> float:
    """The correlation of what was decoded, so much late, with what was encoded."""
    late = round(late_ms * RATE_HZ / 1000)
    lags = range(late - 30, late + 31)
    n = len(original) // 2
    padded = np.concatenate([np.zeros(40, np.int16), decoded])
    return max(float(np.corrcoef(padded[lag + 40 : lag + 40 + n], original[:n])[0, 1]) for lag in lags)


@pytest.mark.parametrize("codec", FILES)
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_written_is_read_back(codec: CodecName, whole: bool) -> None:
    original = sweep()
    data = encode_audio(original, codec) if whole else streamed(original, codec)[0]
    decoded, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == RATE_HZ
    late_ms = LATE_MS.get(codec, 0)
    assert abs(len(decoded) / 24 - late_ms - 1500) < 50
    assert matches(decoded, original, late_ms) > 0.97
    assert abs(len(AudioClip.load(data).samples) - len(decoded)) <= 1


def test_pcm_is_the_samples() -> None:
    assert encode_audio(sweep(), "pcm") == streamed(sweep(), "pcm")[0] == sweep().tobytes()


@pytest.mark.parametrize("codec", CODECS)
def test_audio_comes_out_as_it_goes_in(codec: CodecName) -> None:
    encoder = open_encoder(codec)
    assert encoder.streams == (codec != "flac")
    _, sizes = streamed(sweep(3000), codec)
    assert sum(size > 0 for size in sizes) >= (len(sizes) - 2 if encoder.streams else 0)


def test_a_whole_wav_says_how_long_it_is_and_a_streamed_one_does_not() -> None:
    with wave.open(io.BytesIO(encode_audio(sweep(), "wav"))) as whole:
        assert (whole.getnframes(), whole.getframerate(), whole.getnchannels()) == (36_000, RATE_HZ, 1)
    with wave.open(io.BytesIO(streamed(sweep(), "wav")[0])) as stream:
        assert stream.getnframes() > 1 << 30


@pytest.mark.parametrize("codec", CODECS)
def test_no_audio_is_at_most_a_header(codec: CodecName) -> None:
    assert len(open_encoder(codec).finish()) < 1000
    assert open_encoder("wav").finish() == streamed(sweep(), "wav")[0][:44]


@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_how_a_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    original = sweep(200)
    encoder = open_encoder("wav")
    parts = np.split(original, sorted(min(cut, len(original)) for cut in cuts))
    data = b"".join(encoder.encode(part) for part in parts) + encoder.finish()
    assert data == streamed(original, "wav")[0]


def test_a_libsndfile_that_cannot_write_a_format_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec._SNDFILE_FORMATS, "mp3", codec._SndFormat("WAV", "MPEG_LAYER_II"))
    with pytest.raises(ConfigurationError, match="cannot write mp3"):
        open_encoder("mp3")


def test_every_codec_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(CODECS)


def test_without_soundfile_wav_still_works_and_the_rest_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert encode_audio(sweep(20), "wav")
    with pytest.raises(ConfigurationError, match="pip install"):
        encode_audio(sweep(20), "mp3")
