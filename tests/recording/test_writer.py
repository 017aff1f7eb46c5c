from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.recording.format import AUDIO, EVENTS, INDEX
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.replay.reader import Recording


def writer(path: Path, **options: Any) -> RecordingWriter:
    return RecordingWriter(path, manifest_for(endpoint="here", engine="e", model="m", version="0"), **options)


def add(recording: RecordingWriter, number: int) -> None:
    recording.event(number, number * 10**6, "sent", "x", f'{{"type": "x", "n": {number}}}')


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    for number in range(100):
        add(recording, number)
    recording.event(100, 1, "received", "(not an event)", "no json")
    recording.mark("speech_end", 5, {"who": "user"})
    recording.audio(1, 24, b"\x05\x00" * 24)
    recording.close("done")
    recording.close("again")
    read = Recording.open(tmp_path / "r")
    lines = list(read.events())
    assert [line.sequence for line in lines] == list(range(101))
    assert (lines[7].event, lines[7].time_ns, lines[100].raw) == ({"type": "x", "n": 7}, 7_000_000, "no json")
    assert [(mark.name, mark.details) for mark in read.marks()] == [("speech_end", {"who": "user"})]
    assert read.assistant_audio.samples.tolist() == [0] * 24 + [5] * 24
    assert (read.manifest.ended, read.manifest.dropped, read.notes) == ("done", 0, [])


def test_nothing_of_a_burst_is_lost(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    for number in range(5000):
        add(recording, number)
    recording.close()
    read = Recording.open(tmp_path / "r")
    assert [line.sequence for line in read.events()] == list(range(5000))
    assert recording.dropped == 0


def test_the_manifest_says_where_it_comes_from_without_secrets() -> None:
    manifest = manifest_for(
        endpoint="https://ann:pass@host:8000/v1?api-key=abc", engine="e", model="m", version="0", session_age_ms=1500
    )
    assert manifest.endpoint == "https://host:8000/v1"
    assert {"numpy", "msgspec", "websockets"} <= set(manifest.packages)
    assert manifest.session_began < manifest.created


def test_a_folder_that_holds_something_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigurationError, match="not empty"):
        writer(tmp_path)
    with pytest.raises(ConfigurationError, match="No recording can be written"):
        writer(tmp_path / "precious.txt" / "r")


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    recording.close()
    add(recording, 1)
    assert list(Recording.open(tmp_path / "r").events()) == []


def test_a_full_disk_is_told_once_and_what_was_written_stays(tmp_path: Path) -> None:
    told: list[OSError] = []
    failed = threading.Event()

    def tell(failure: OSError) -> None:
        told.append(failure)
        failed.set()

    recording = writer(tmp_path / "r", on_failure=tell)
    assert recording.writing
    add(recording, 0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    while recording._offset == 0:
        failed.wait(0.005)
    recording._stereo.write = full  # type: ignore[method-assign]
    recording.audio(0, 0, b"\x01\x00")
    assert failed.wait(20)
    assert not recording.writing
    add(recording, 1)
    recording.close()
    assert ([failure.errno for failure in told], recording.failure) == ([errno.ENOSPC], told[0])
    read = Recording.open(tmp_path / "r")
    assert [line.sequence for line in read.events()] == [0]
    assert any("No space left" in note for note in read.notes)


def test_frames_of_audio_are_kept_byte_for_byte(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    frame = '{"type":"input_audio_buffer.append","audio":"' + "QUJD" * 100 + '"}'
    recording.event(0, 5, "sent", "input_audio_buffer.append", frame)
    recording.close()
    (line,) = (tmp_path / "r" / EVENTS).read_text().splitlines()
    assert line == f'{{"sequence":0,"time_ns":5,"direction":"sent","event":{frame}}}'
    assert (tmp_path / "r" / INDEX).stat().st_size == 32


KILLED = """
import sys, time
from pathlib import Path
from tests.recording.test_writer import writer
recording = writer(Path(sys.argv[1]))
began_s = time.monotonic()
number = 0
while time.monotonic() < began_s + 1.8:
    now_ns = time.monotonic_ns()
    recording.event(number, now_ns, "sent", "x", '{"type": "x"}')
    recording.audio(0, number * 480, b"\\x09\\x00" * 480)
    number += 1
    time.sleep(0.06)
print(now_ns, flush=True)
time.sleep(60)
"""


def kill(path: Path) -> Recording:
    """Have a process write until it is killed, right after the last event was handed over."""
    command = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        last_ns = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    read = Recording.open(path)
    read.lost_s = (last_ns - max(line.time_ns for line in read.events())) / 1e9  # type: ignore[attr-defined]
    return read


def test_a_killed_process_loses_less_than_a_second(tmp_path: Path) -> None:
    for attempt in range(3):  # a machine that gives the writer no time for a second proves nothing
        read = kill(tmp_path / str(attempt))
        if read.lost_s <= 1:  # type: ignore[attr-defined]
            break
    assert read.lost_s <= 1  # type: ignore[attr-defined]
    events = list(read.events())
    assert [line.sequence for line in events] == list(range(len(events)))
    assert len(read.user_audio.samples) >= (len(events) - 17) * 480
    assert (read.user_audio.samples == 9).all()
    assert any("cut off" in note for note in read.notes)


def test_half_a_line_at_the_end_is_said(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    add(recording, 0)
    recording.close()
    with (tmp_path / "r" / EVENTS).open("ab") as file:
        file.write(b'{"sequence": 50, "time')
    read = Recording.open(tmp_path / "r")
    assert [line.sequence for line in read.events()] == [0]
    assert any("1 line of events.jsonl could not be read" in note for note in read.notes)


def test_a_recording_cut_in_the_middle_of_the_wav_header_is_silent(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    add(recording, 0)
    recording.audio(0, 0, b"\x01\x00" * 100)
    recording.close()
    for size in (0, 20, 44, 47):
        with (tmp_path / "r" / AUDIO).open("r+b") as file:
            file.truncate(size)
        read = Recording.open(tmp_path / "r")
        assert len(read.stereo()) == 0
        assert len(list(read.events())) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": "new"}'])
def test_a_recording_without_a_readable_manifest_is_still_a_recording(tmp_path: Path, content: bytes) -> None:
    recording = writer(tmp_path / "r")
    add(recording, 0)
    recording.close()
    (tmp_path / "r" / "manifest.json").write_bytes(content)
    read = Recording.open(tmp_path / "r")
    assert len(list(read.events())) == 1
    assert any("manifest" in note for note in read.notes)
    (tmp_path / "r" / "manifest.json").unlink()
    assert any("manifest" in note for note in Recording.open(tmp_path / "r").notes)


def test_a_newer_schema_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    add(recording, 0)
    recording.close()
    path = tmp_path / "r" / "manifest.json"
    manifest = {**msgspec.json.decode(path.read_bytes()), "schema_version": 7, "machine": ["a", "list"], "mood": 1}
    path.write_bytes(msgspec.json.encode(manifest))
    with (tmp_path / "r" / EVENTS).open("ab") as file:
        file.write(b'{"sequence":1,"time_ns":2,"direction":"sent","event":{"type":"y"},"smell":"of roses"}\n')
        file.write(b'{"sequence":2,"time_ns":3,"direction":"sideways","event":{"type":"z"}}\n')
    read = Recording.open(tmp_path / "r")
    assert [line.event["type"] for line in read.events() if line.event] == ["x", "y"]
    assert (read.manifest.schema_version, read.manifest.model) == (7, "m")
    assert any("newer version" in note for note in read.notes)
    assert any("1 line of events.jsonl" in note for note in read.notes)


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        Recording.open(tmp_path / "file.txt")
    with pytest.raises(ConfigurationError, match="no recording"):
        Recording.open(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        Recording.open(tmp_path / "nowhere")


def test_what_is_nested_too_deeply_is_left_out_and_the_rest_is_written(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    deep = "[" * 700 + "]" * 700
    recording.event(0, 1, "received", "x", f'{{"type": "x", "api_key": "hunter2hunter2", "a": {deep}}}')
    arguments = msgspec.json.encode("[" * 9000 + "]" * 9000).decode()
    recording.event(1, 2, "received", "x", f'{{"type": "x", "arguments": {arguments}}}')
    recording.mark("tool", 3, {"output": object()})
    add(recording, 2)
    recording.close()
    read = Recording.open(tmp_path / "r")
    assert [line.raw is None for line in read.events()] == [False, False, True]
    assert "hunter2" not in (tmp_path / "r" / EVENTS).read_text()
    assert recording.failure is None
    assert any("Something could not be written (TypeError)" in note for note in read.notes)


def test_a_deleted_folder_is_told(tmp_path: Path) -> None:
    failed = threading.Event()
    recording = writer(tmp_path / "r", on_failure=lambda failure: failed.set())
    add(recording, 0)
    shutil.rmtree(tmp_path / "r")
    assert failed.wait(20)
    assert "deleted" in str(recording.failure)
    recording.close()
    assert not (tmp_path / "r").exists()


def test_a_folder_that_was_moved_goes_on(tmp_path: Path) -> None:
    recording = writer(tmp_path / "r")
    (tmp_path / "r").rename(tmp_path / "moved")
    for number in range(3):
        add(recording, number)
    recording.close()
    assert recording.failure is None
    assert len(list(Recording.open(tmp_path / "moved").events())) == 3


def test_of_two_that_want_one_folder_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(()))  # both looked before either wrote
    recording = writer(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="File exists"):
        writer(tmp_path / "r")
    add(recording, 0)
    recording.close()
    assert len(list(Recording.open(tmp_path / "r").events())) == 1


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_cannot_be_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="No recording can be written"):
        writer(tmp_path / name)
    with pytest.raises(ConfigurationError, match=r"does not exist|too long"):
        Recording.open(tmp_path / name)


def test_on_a_full_disk_the_index_makes_room_for_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = writer(tmp_path / "r")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:10])
        if (tmp_path / "r" / INDEX).exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    add(recording, 0)
    recording._put(lambda: full(tmp_path / "r" / "more", b""))
    recording.close()
    read = Recording.open(tmp_path / "r")
    assert any("No space left" in note for note in read.notes)
    assert not (tmp_path / "r" / "manifest.json.part").exists()
    assert len(list(read.events())) == 1


def test_it_ends_without_a_new_thread_and_writes_all_that_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.12.1 starts no thread while the interpreter ends, which is when many sessions are closed."""
    recording = writer(tmp_path / "r")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(3000):
        add(recording, number)
    recording.finish("over")
    recording.finish("again")
    recording.thread.join(20)
    read = Recording.open(tmp_path / "r")
    assert (len(list(read.events())), read.manifest.ended) == (3000, "over")
