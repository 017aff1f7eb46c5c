"""Recorder, Player and Waveform alone, in real JupyterLab."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from realtime_nb.audio import AudioClip
from realtime_nb.audio.bundled import clip
from tests.browser.conftest import OpenNotebook


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    (AudioClip.silence(200) + clip("order_status") + AudioClip.silence(5000)).resampled(48_000).save(path)
    return path


def test_a_take_by_a_cell_and_a_take_by_the_button(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        [
            "import realtime_nb as rt\nrecorder = rt.Recorder()\nrecorder",
            "take = await recorder.record(seconds=1)\n(round(take.duration_ms), take.rms_dbfs)",
            "(round(recorder.clip.duration_ms), recorder.clip is take)",
        ]
    )
    notebook.run(0)
    record = notebook.output_area(0).locator(".rnb-record")
    expect(record).to_be_enabled()
    notebook.start(1)
    expect(record).to_have_text("Stop")
    notebook.wait_done(1)
    duration_ms, level = ast.literal_eval(notebook.output_text(1))
    assert duration_ms == 1000
    assert level > -45
    expect(record).to_have_text("Record")
    timer = notebook.output_area(0).get_by_role("timer")
    expect(timer).to_have_text("1.0 s")

    record.click()
    expect(record).to_have_text("Stop")
    expect(timer).to_have_text(re.compile(r"^[1-9]\.\d s$"))
    record.click()
    expect(record).to_have_text("Record")
    notebook.run(2)
    duration_ms, same = ast.literal_eval(notebook.output_text(2))
    assert 1000 < duration_ms < 20_000
    assert not same


def test_a_clip_is_played_to_its_end_and_drawn(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        [
            "import asyncio\nimport realtime_nb as rt\nclip = rt.clip('joke')\nplayer = rt.Player(clip)\nplayer",
            "player.play()\nasync with asyncio.timeout(20):\n"
            "    while player.heard_ms < int(clip.duration_ms):\n        await asyncio.sleep(0.05)\n"
            "player.heard_ms",
            "rt.Waveform(clip)",
        ]
    )
    notebook.run(0)
    expect(notebook.output_area(0).get_by_role("button", name="Play")).to_be_enabled()
    notebook.run(1)
    assert float(notebook.output_text(1)) == pytest.approx(clip("joke").duration_ms, abs=1)
    notebook.run(2)
    expect(notebook.output_area(2).get_by_text("Tell me a joke")).to_be_visible()
    drawn = notebook.output_area(2).locator("canvas, svg").first
    expect(drawn).to_be_visible()
