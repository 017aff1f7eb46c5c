import hashlib
import wave
from importlib.resources import files

import pytest

from realtime_nb.audio import bundled
from realtime_nb.audio.speech_bounds import METHOD, speech_bounds_ms
from realtime_nb.errors import AudioError

FOLDER = files("realtime_nb") / "clips"
RECORDS = bundled.manifest()["clips"]
by_id = pytest.mark.parametrize("record", RECORDS, ids=[record["id"] for record in RECORDS])


@by_id
def test_each_file_is_24_khz_mono_pcm16_and_the_one_in_the_manifest(record: dict):
    data = (FOLDER / f"{record['id']}.wav").read_bytes()
    assert hashlib.sha256(data).hexdigest() == record["sha256"]
    with wave.open(str(FOLDER / f"{record['id']}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.getnframes() / 24 == pytest.approx(record["duration_ms"], abs=0.01)


@by_id
def test_marks_measure_the_same_again(record: dict):
    clip = bundled.clip(record["id"])
    assert speech_bounds_ms(clip.samples, 24_000) == (clip.speech_start_ms, clip.speech_end_ms)
    assert 0 < clip.speech_start_ms < clip.speech_end_ms < clip.duration_ms


@by_id
def test_each_says_who_speaks_under_which_licence(record: dict):
    clip = bundled.clip(record["id"])
    assert record["licence"] in clip.origin
    assert record["origin"] in clip.origin
    assert clip.transcript == record["transcript"]
    assert clip.title
    assert record["synthetic"] == ("Synthetic" in record["origin"])
    assert record["synthetic"] == (record["voice"] != "human")


def test_the_collection_is_small_and_has_people_in_it():
    assert 8 <= len(RECORDS) <= 12
    assert list(bundled.clips()) == [record["id"] for record in RECORDS]
    assert any(not record["synthetic"] for record in RECORDS)
    assert sum(len((FOLDER / f"{record['id']}.wav").read_bytes()) for record in RECORDS) <= 1_500_000
    assert bundled.manifest()["boundary_method"] == METHOD


def test_an_unknown_clip_lists_the_known_ones():
    with pytest.raises(AudioError, match="hello"):
        bundled.clip("nonsense")


def test_the_licence_texts_travel_with_the_clips():
    text = (FOLDER / "LICENCES.txt").read_text("utf-8")
    assert "Redistributions in binary form must reproduce the above copyright notice" in text
    assert all(f"{record['id']}.wav" in text for record in RECORDS if not record["synthetic"])
