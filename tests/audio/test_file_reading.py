import io
import struct

import numpy as np
import pytest
import soundfile

from realtime_nb.audio import AudioClip, file_reading
from realtime_nb.errors import AudioError


def encoded(samples: np.ndarray, rate_hz: int, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=container, subtype=subtype)
    return buffer.getvalue()


def sine(rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "ULAW"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_every_usual_file_becomes_24_khz_mono(rate_hz: int, container: str, subtype: str, channels: int):
    clip = AudioClip.load(encoded(np.stack([sine(rate_hz)] * channels, axis=1), rate_hz, container, subtype))
    assert clip.sample_rate_hz == 24_000
    assert clip.duration_ms == pytest.approx(1_000, abs=0.1 if container != "MP3" else 60)
    assert clip.rms_dbfs == pytest.approx(-9.03, abs=0.15)
    spectrum = np.abs(np.fft.rfft(clip.samples[:24_000] * np.hanning(min(24_000, len(clip.samples)))))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (b"This is not audio at all." * 40, "cannot be read"),
        (b"RIFF\x00\x00\x00\x00WAVE", "cannot be read"),
        (encoded(np.zeros(0), 24_000, "WAV", "PCM_16"), "no samples"),
        (encoded(np.array([0.0, np.nan]), 24_000, "WAV", "FLOAT"), "not numbers"),
        (encoded(np.zeros(100), 100, "WAV", "PCM_16"), "sample rate of 100 Hz"),
    ],
    ids=["nothing", "text", "a header", "no samples", "not a number", "100 Hz"],
)
def test_what_cannot_be_used_says_why_and_what_to_do(data: bytes, message: str):
    with pytest.raises(AudioError, match=message) as caught:
        AudioClip.load(data)
    assert caught.value.what_now


def test_more_than_an_hour_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(file_reading, "MAX_CLIP_SECONDS", 1)
    with pytest.raises(AudioError, match="an hour"):
        AudioClip.load(encoded(sine(8_000, 1.5), 8_000, "WAV", "PCM_16"))


def test_a_truncated_file_is_called_damaged():
    data = encoded(sine(24_000), 24_000, "FLAC", "PCM_16")
    with pytest.raises(AudioError, match="damaged"):
        AudioClip.load(data[: len(data) // 2])


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(AudioError, match="gone"):
        AudioClip.load(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="could not be read"):
        AudioClip.load(tmp_path)


def test_what_is_no_file_is_refused_with_a_word_on_arrays():
    with pytest.raises(AudioError, match="from_float"):
        AudioClip.load(np.zeros(5))  # type: ignore[arg-type]


def test_open_files_load_under_their_name(tmp_path):
    path = AudioClip.silence(100).save(tmp_path / "quiet.wav")
    with path.open("rb") as file:
        assert AudioClip.load(file).title == "quiet.wav"
    assert AudioClip.load(io.BytesIO(path.read_bytes())).title == ""


def test_a_header_that_promises_more_than_there_is_gives_what_there_is():
    data = bytearray(encoded(sine(24_000, 0.1), 24_000, "WAV", "PCM_16"))
    data[40:44] = struct.pack("<I", 0x7FFF_FFFF)
    assert AudioClip.load(bytes(data)).duration_ms == pytest.approx(100, abs=1)
