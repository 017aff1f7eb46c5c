"""A spoken turn from first to last sample while a cell keeps the kernel busy, on both kernels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import KERNEL_6, KERNEL_7, Lab, kernels
from tests.browser.studio_page import CONNECT, STUDIO, StudioPage, running_notebook, speech_wav

pytestmark = pytest.mark.alone

BUSY = """
import time
begun_ms = session.now_ms()
print("begun", flush=True)
{work}
ended_ms = session.now_ms()
"""
SLEEP = "time.sleep(7)"
LOOP = "until = time.time() + 7\nwhile time.time() < until: pass"
CELLS = [CONNECT, STUDIO, "begun_ms = ended_ms = 0", "begun_ms = ended_ms = 0"]


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_wav(tmp_path_factory.mktemp("microphone") / "speech.wav", "hello", before_ms=100)


@pytest.fixture(scope="module", params=[KERNEL_7, KERNEL_6])
def studio(lab: Lab, browser: Browser, request: pytest.FixtureRequest) -> Iterator[StudioPage]:
    assert request.param in kernels(), f"{request.param} is not installed: run `make setup-test`"
    with running_notebook(browser, lab, f"busy-{request.param}.ipynb", CELLS, kernel=request.param) as notebook:
        studio = StudioPage.of(notebook, 1)
        studio.say("warm up")
        studio.wait_kernel("len(session.history) == 1")
        yield studio


@pytest.mark.parametrize("work", [SLEEP, LOOP], ids=["sleep", "loop"])
def test_a_spoken_turn_while_a_cell_runs(studio: StudioPage, work: str) -> None:
    notebook = studio.notebook
    studio.wait_silent()
    history, stream = studio.kernel_value("len(session.history)"), studio.newest_stream()
    users, said = studio.lines("user").count(), studio.lines("assistant").count()
    cell = 2 if work == SLEEP else 3
    notebook.set_source(cell, BUSY.format(work=work))
    notebook.start(cell)
    notebook.wait_output(cell, "begun")
    studio.open_microphone()
    studio.last_line("user", count=users + 1)
    studio.last_line("assistant", count=said + 1)
    stream = studio.wait_rendered(12_000, after_stream=stream)
    studio.wait_stream_through(stream)
    assert notebook.is_running(cell)
    rendered = studio.streams()[stream]
    notebook.wait_done(cell)
    studio.close_microphone()

    begun_ms, ended_ms = studio.kernel_value("[begun_ms, ended_ms]")
    assert ended_ms - begun_ms >= 7000
    assert studio.kernel_value("len(session.history)") == history + 1
    assert rendered == studio.kernel_value("len(session.history[-1].audio.samples)")
    marks = studio.kernel_value("__import__('msgspec').to_builtins(session.history[-1].marks)")
    times_ms = [marks[name] for name in ("speech_started_ms", "speech_stopped_ms", "first_audio_ms", "done_ms")]
    assert begun_ms < times_ms[0] < times_ms[1] < times_ms[2] <= times_ms[3] < ended_ms
    assert not any(studio.probe("underruns").values())
    expect(studio.root.locator(".rnb-link")).to_contain_text("direct link")
