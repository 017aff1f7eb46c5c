"""Both voices stand in the file where they sounded, within 10 ms: known signals at known moments."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.replay.reader import Recording
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.session.recorder import SessionRecorder

FRAME = 480


class Scene:
    """A recorder that is told what happens, when."""

    def __init__(self, path: Path) -> None:
        manifest = manifest_for(endpoint="e", engine="e", model="m", version="0")
        self.writer = RecordingWriter(path, manifest)
        self.recorder = SessionRecorder(self.writer)
        self.chance = random.Random(7)

    def user(self, start_ms: float, duration_ms: float, value: int, *, jitter_ms: float = 0.0) -> None:
        """Speak from a moment on, in 20 ms frames that arrive when they end or later."""
        for n in range(int(duration_ms / 20)):
            end_ms = start_ms + (n + 1) * 20 + self.chance.uniform(0, jitter_ms) * (n > 0)
            self.recorder.on_user_audio(np.full(FRAME, value, "<i2").tobytes(), end_ms)

    def receive(self, key: PlaybackKey, duration_ms: float, value: int, now_ms: float) -> None:
        pcm16 = np.full(int(duration_ms * 24), value, "<i2").tobytes()
        self.recorder.on_assistant_audio(key, pcm16, now_ms, True)

    def play(self, key: PlaybackKey, first_ms: float, start_ms: float, end_ms: float, *, timed: bool) -> None:
        """Render a part from `start_ms` to `end_ms` of it, its first sample at `first_ms`; a report every 60 ms."""
        played_ms = start_ms
        while played_ms < end_ms:
            played_ms = min(end_ms, played_ms + 60)
            now_ms = first_ms + played_ms
            at = RenderedAt(time_ms=now_ms - 25, error_ms=1.0, output_latency_ms=25.0) if timed else None
            self.recorder.on_rendered(key, int(played_ms * 24), now_ms + (40 if timed else 0), at)

    def sound(self) -> np.ndarray:
        self.writer.close()
        assert (self.writer.dropped, self.writer.failure) == (0, None)
        return np.array(Recording.open(self.writer.path).stereo())


def spans(samples: np.ndarray, value: int) -> list[tuple[float, float]]:
    """Return where a signal stands, in ms."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (samples == value).astype(int), [0]])))
    return [(start / 24, end / 24) for start, end in edges.reshape(-1, 2)]


def check(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> None:
    assert len(found) == len(wanted), found
    for (start_ms, end_ms), span in zip(found, wanted, strict=True):
        assert (start_ms, end_ms) == pytest.approx(span, abs=10)


@pytest.mark.parametrize("timed", [True, False])
def test_a_long_gap_several_parts_and_an_interruption(tmp_path: Path, timed: bool) -> None:
    scene = Scene(tmp_path / "r")
    first, second, third = (PlaybackKey(f"item{n}", n % 2) for n in range(3))
    scene.user(500, 1000, 11, jitter_ms=35)
    scene.receive(first, 900, 21, 1900)
    scene.receive(second, 600, 22, 1950)
    scene.play(first, 2000, 0, 900, timed=timed)
    scene.play(second, 2900, 0, 600, timed=timed)
    scene.user(300_000, 400, 12)  # five minutes of nothing
    scene.receive(third, 3000, 23, 300_900)
    scene.play(third, 301_000, 0, 480, timed=timed)
    scene.user(301_400, 300, 13, jitter_ms=20)  # and speaks into the answer
    scene.recorder.on_interrupted(third, "speech", 500, 301_500)
    sound = scene.sound()
    wanted = {
        (0, 11): (500, 1500),
        (1, 21): (2000, 2900),
        (1, 22): (2900, 3500),
        (0, 12): (300_000, 300_400),
        (1, 23): (301_000, 301_500),
        (0, 13): (301_400, 301_700),
    }
    for (channel, value), (start_ms, end_ms) in wanted.items():
        check(spans(sound[:, channel], value), [(start_ms, end_ms)])


@pytest.mark.parametrize("stalled", [(0, 15), (20, 40), (0, 49)])
def test_a_microphone_stands_where_it_was_spoken_although_the_machine_stood_still(
    tmp_path: Path, stalled: tuple[int, int]
) -> None:
    scene = Scene(tmp_path / "r")
    first, last = stalled
    for start_ms, value in ((500, 11), (5000, 12)):
        for n in range(100):
            at = last if first <= n < last else n  # what was held back comes at once, with the frame behind it
            scene.recorder.on_user_audio(np.full(FRAME, value, "<i2").tobytes(), start_ms + (at + 1) * 20)
    sound = scene.sound()
    check(spans(sound[:, 0], 11), [(500, 2500)])
    check(spans(sound[:, 0], 12), [(5000, 7000)])


def test_a_player_that_runs_dry_leaves_its_gap(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "r")
    key = PlaybackKey("item", 0)
    scene.receive(key, 1000, 21, 900)
    scene.play(key, 1000, 0, 300, timed=True)
    scene.play(key, 1045, 300, 600, timed=True)  # 45 ms without sound
    scene.play(key, 1345, 600, 1000, timed=True)  # and 300 ms
    check(spans(scene.sound()[:, 1], 21), [(1000, 1300), (1345, 1645), (1945, 2345)])


def test_without_a_player_the_answer_is_laid_out_from_its_arrival(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "r")
    key = PlaybackKey("item", 0)
    for n in range(10):  # 100 ms of sound every 20 ms
        scene.recorder.on_assistant_audio(key, np.full(2400, 21, "<i2").tobytes(), 1000 + n * 20, False)
    check(spans(scene.sound()[:, 1], 21), [(1000, 2000)])


def test_what_was_never_heard_is_not_there(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "r")
    key = PlaybackKey("item", 0)
    scene.receive(key, 1000, 21, 900)
    scene.recorder.on_interrupted(key, "button", 0, 1000)
    scene.receive(PlaybackKey("other", 0), 100, 22, 1000)
    scene.play(PlaybackKey("other", 0), 1100, 0, 100, timed=True)
    sound = scene.sound()
    assert spans(sound[:, 1], 21) == []
    check(spans(sound[:, 1], 22), [(1100, 1200)])
