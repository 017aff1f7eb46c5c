"""The sound of a recording against its events."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.recording.format import AUDIO
from realtime_nb.recording.stereo import StereoFile
from realtime_nb.replay import crosscheck as module
from realtime_nb.replay.crosscheck import crosscheck
from realtime_nb.session.turn import Turn
from realtime_nb.timing.marks import Marks, Moment, timeline
from tests.pipelines.tapped import question

PER_MS = 24


class Recorded:
    """A recording with the sound that a test lays out, and one turn as its events tell it."""

    def __init__(self, folder: Path, *, user: dict[int, AudioClip], assistant: dict[int, AudioClip]) -> None:
        file = StereoFile(folder / AUDIO)
        for channel, pieces in enumerate((user, assistant)):
            for at_ms, clip in pieces.items():
                file.write(channel, at_ms * PER_MS, clip.samples)
        file.close()
        self.path = folder
        self.turn = Turn("resp_1", ["item_1"])
        self.turn.marks.speech_started_ms, self.turn.marks.speech_stopped_ms = 1000.0, 1620.0
        self.said = {"speech_end": 1400.0, "speech_stopped": 1620.0, "committed": 1620.0, "first_audio": 2000.0}

    def stereo(self) -> Any:
        return np.memmap(self.path / AUDIO, np.int16, "r", 44).reshape(-1, 2)

    def turns(self) -> list[Any]:
        moments: dict[Any, Moment] = {name: Moment(at) for name, at in {**self.said, "first_audible": 2000.0}.items()}
        said = timeline(Marks(moments), "realtime")
        told = SimpleNamespace(timeline=said, marks=self.turn.marks, cause=None, tool_calls=[], out_of_band=False)
        return [SimpleNamespace(response_id="resp_1", **vars(told))]


def test_the_sound_agrees_with_true_events(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, user={1000: question(400, 0)}, assistant={2000: question(500, 0)})
    (found,) = crosscheck(recorded)  # type: ignore[arg-type]
    assert found.why == ""
    assert found.speech_end_ms == pytest.approx(1400, abs=5)
    assert found.onset_ms == pytest.approx(2000, abs=5)
    assert found.difference_ms == pytest.approx(0, abs=found.error_ms)


def test_events_that_are_30_ms_off_are_shown(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, user={1000: question(400, 0)}, assistant={2000: question(500, 0)})
    recorded.said["speech_end"] = 1430.0
    (found,) = crosscheck(recorded)  # type: ignore[arg-type]
    assert found.speech_end_difference_ms == pytest.approx(-30, abs=5)
    assert found.onset_difference_ms == pytest.approx(0, abs=5)
    assert found.difference_ms == pytest.approx(30, abs=found.error_ms)


@pytest.mark.parametrize(
    ("user", "assistant", "why"),
    [
        ({}, {2000: question(500, 0)}, module.NO_SPEECH),
        ({1000: question(400, 0)}, {}, module.NO_ANSWER),
        ({1000: question(400, 0)}, {900: question(600, 0), 2000: question(500, 0)}, module.STILL_SOUNDING),
    ],
)
def test_what_cannot_be_found_is_said(
    tmp_path: Path, user: dict[int, AudioClip], assistant: dict[int, AudioClip], why: str
) -> None:
    (found,) = crosscheck(Recorded(tmp_path, user=user, assistant=assistant))  # type: ignore[arg-type]
    assert found.why == why
    assert found.gap_ms is None
    assert found.difference_ms is None
