from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.recording.format import RecordedEvent, without_secrets
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.replay.reader import Recording


def writer(path: Path) -> RecordingWriter:
    return RecordingWriter(path, manifest_for(endpoint="here", engine="e", model="m", version="0"))


def event(number: int) -> RecordedEvent:
    return RecordedEvent(sequence=number, time_ns=number * 10**6, direction="sent", event={"type": "x", "n": number})


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    for number in range(100):
        recording.event(event(number))
    recording.mark("speech_end", 5, who="user")
    recording.audio(1, 24, b"\x05\x00" * 24)
    recording.close("done")
    recording.close("again")
    read = Recording.open(tmp_path / "r")
    assert [line.sequence for line in read.events()] == list(range(100))
    assert [(mark.name, mark.details) for mark in read.marks()] == [("speech_end", {"who": "user"})]
    assert read.assistant_audio.samples.tolist() == [0] * 24 + [5] * 24
    assert (read.manifest.ended, read.notes) == ("done", [])


def test_a_folder_that_holds_something_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigurationError, match="not empty"):
        writer(tmp_path)
    with pytest.raises(ConfigurationError, match="No recording can be written"):
        writer(tmp_path / "precious.txt" / "r")


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    recording.close()
    recording.event(event(1))
    assert list(Recording.open(tmp_path / "r").events()) == []


KILLED = """
import sys, time
from tests.recording.test_writer import writer, event
recording = writer(__import__("pathlib").Path(sys.argv[1]))
for number in range(50):
    recording.event(event(number))
    recording.audio(0, number * 480, b"\\x09\\x00" * 480)
while recording._jobs.qsize():
    time.sleep(0.01)
time.sleep(0.6)
print("written", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_a_readable_recording(tmp_path: Path) -> None:
    path = tmp_path / "r"
    command = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    with (path / "events.jsonl").open("ab") as file:
        file.write(b'{"sequence": 50, "time')
    read = Recording.open(path)
    assert len(list(read.events())) == 50
    assert read.user_audio.samples[: 50 * 480].tolist() == [9] * 50 * 480
    assert any("cut off" in note for note in read.notes)
    assert any("could not be read" in note for note in read.notes)


def test_secrets_are_removed_wherever_they_stand() -> None:
    value = {
        "tools": [{"authorization": "Bearer x", "headers": {"k": "v"}}],
        "client_secret": {"value": "ek_1"},
        "a": 1,
    }
    text = str(without_secrets(value))
    assert "Bearer" not in text
    assert "ek_1" not in text
    assert without_secrets({"a": [1, {"b": None}], "token": ""}) == {"a": [1, {"b": None}], "token": ""}
