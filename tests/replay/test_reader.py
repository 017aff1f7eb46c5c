"""A recording read back: lazily, with the same turns, whatever state the files are in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from realtime_nb.recording.index import APPEND, AUDIO_DELTA
from realtime_nb.replay.reader import Recording
from realtime_nb.testing.recordings import make_recording


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("r") / "made", turns=3, answer="it is on its way")


def test_turns_come_with_true_timelines(made: Path) -> None:
    turns = Recording.open(made).turns()
    assert len(turns) == 3
    for turn in turns:
        found = turn.timeline
        stages = {stage.name: stage.duration_ms for stage in found.stages}
        assert stages == pytest.approx(
            {"vad_hold": 500, "commit": 0, "first_audio": 200, "leading_silence": 40, "output": 30}, abs=1
        )
        assert found.voice_to_voice_ms == pytest.approx(770, abs=1)
        assert (found.ends_at, found.flags, found.unattributed) == ("rendered", (), ())


def test_the_end_of_speech_is_found_by_energy_where_nobody_told_it(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    marks = (copy / "marks.jsonl").read_text().splitlines()
    (copy / "marks.jsonl").write_text("\n".join(line for line in marks if '"speech_end"' not in line) + "\n")
    found = Recording.open(copy).turns()[1].timeline
    assert found.voice_to_voice_ms == pytest.approx(770, abs=10)
    assert found.moments["speech_end"].source == "derived"


def test_audio_is_read_when_it_is_used(made: Path) -> None:
    recording = Recording.open(made)
    turn = recording.turns()[1]
    assert "audio" not in turn.__dict__
    assert turn.audio_duration_ms == turn.audio.duration_ms == 4800
    assert turn.user_audio is not None
    assert turn.user_audio.duration_ms == 3500
    stereo = np.asarray(recording.stereo())
    began = 12_000 * 24
    assert (turn.user_audio.samples == stereo[began : began + 3500 * 24, 0]).all()
    heard = turn.audio.samples
    assert (stereo[began + 3730 * 24 :, 1][: len(heard)] == heard).all()


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "of another file", "too long"])
def test_a_damaged_index_costs_time_and_nothing_else(made: Path, tmp_path: Path, damage: str) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    index = copy / "index.bin"
    whole = index.read_bytes()
    if damage == "missing":
        index.unlink()
    else:
        index.write_bytes(
            {"empty": b"", "short": whole[:3210], "of another file": b"\x01" * 320, "too long": whole + whole}[damage]
        )
    recording, usual = Recording.open(copy), Recording.open(made)
    assert (recording.event_file.entries == usual.event_file.entries).all()
    assert [turn.transcript for turn in recording.turns()] == [turn.transcript for turn in usual.turns()]


def test_an_index_of_before_an_edit_is_not_believed(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    events = (copy / "events.jsonl").read_text().replace("it is on its way", "it is lost", 1)
    (copy / "events.jsonl").write_text(events.replace(" way", " path"))
    recording = Recording.open(copy)
    assert len(list(recording.events())) == len(Recording.open(made).event_file)
    assert recording.notes == Recording.open(made).notes


def test_a_recording_cut_anywhere_gives_what_is_there(made: Path, tmp_path: Path) -> None:
    whole = (made / "events.jsonl").read_bytes()
    for number, size in enumerate(np.linspace(0, len(whole), 7).astype(int).tolist()):
        copy = shutil.copytree(made, tmp_path / str(number))
        (copy / "events.jsonl").write_bytes(whole[:size])
        recording = Recording.open(copy)
        turns = recording.turns()
        assert len(list(recording.events())) == whole[:size].count(b"\n")
        if turns and turns[-1].status != "completed":
            assert turns[-1].status == "lost"
            assert turns[-1].timeline is not None
        cut_in_a_line = size and whole[size - 1 : size] != b"\n"
        assert any("could not be read" in note for note in recording.notes) == bool(cut_in_a_line)


def test_kinds_are_told_apart_without_reading_audio(made: Path) -> None:
    file = Recording.open(made).event_file
    assert len(file.of_kind(APPEND)) == 3 * 600
    assert len(file.of_kind(AUDIO_DELTA)) == 3 * 48
    assert (file.entries["audio_bytes"][file.of_kind(APPEND)] == 960).all()


def test_regions_and_transcript_come_back(made: Path) -> None:
    recording = Recording.open(made)
    assert [line.text.strip() for line in recording.transcript] == ["(recognised)", "it is on its way"] * 3
    responses = [region for region in recording.regions if region.kind == "response"]
    assert [(region.start_ms, region.end_ms) for region in responses] == [
        (turn * 12_000 + 3700.0, turn * 12_000 + 8520.0) for turn in range(3)
    ]
    assert recording.began_ms(recording.transcript[0].item_id) == pytest.approx(200, abs=1)
    assert recording.duration_ms == 36_000
    assert "36.0 s" in repr(recording)
