from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.audio.g711 import decode_alaw, decode_mulaw
from realtime_nb.protocol.session_config import AudioFormat, AudioPcm, AudioPcma, AudioPcmu
from realtime_nb.server.input_audio import InputDecoder, decode_whole
from realtime_nb.server.output_audio import OutputEncoder
from tests.server.talking import tone


@settings(deadline=None)
@given(st.lists(st.integers(0, 200), max_size=20))
def test_how_the_bytes_come_changes_no_sample(sizes: list[int]) -> None:
    audio = tone(50).tobytes()
    decoder, at, parts = InputDecoder(AudioPcm()), 0, []
    for size in [*sizes, len(audio)]:
        parts.append(decoder.decode(audio[at : at + size]))
        at += size
    assert np.array_equal(np.concatenate(parts), decode_whole(audio, AudioPcm()))


@pytest.mark.parametrize(("audio_format", "bytes_per_ms"), [(AudioPcm(), 48), (AudioPcmu(), 8), (AudioPcma(), 8)])
def test_every_format_becomes_16_khz_of_the_same_length_and_loudness(
    audio_format: AudioFormat, bytes_per_ms: int
) -> None:
    encoder = OutputEncoder(audio_format)
    audio = b"".join(encoder.encode(tone(500)[start : start + 2400]) for start in range(0, 12_000, 2400))
    assert len(audio) == 500 * bytes_per_ms
    heard = decode_whole(audio, audio_format)
    assert len(heard) == 500 * 16
    assert np.sqrt(np.mean(np.square(heard[800:-800], dtype=float))) == pytest.approx(9000 / np.sqrt(2), rel=0.03)


def test_each_law_is_its_own() -> None:
    loud = tone(20)
    assert decode_mulaw(OutputEncoder(AudioPcmu()).encode(loud)).max() > 8000
    assert decode_alaw(OutputEncoder(AudioPcma()).encode(loud)).max() > 8000
    assert OutputEncoder(AudioPcmu()).encode(loud) != OutputEncoder(AudioPcma()).encode(loud)
