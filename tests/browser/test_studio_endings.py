"""Every way a Studio may end or be doubled: nothing plays on, nothing listens on, nothing is left in the kernel."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from realtime_nb.audio import AudioClip
from tests.browser.lab import Lab, NotebookPage
from tests.browser.studio_page import CONNECT, STUDIO, StudioPage, keep_picture, open_page, running_notebook

LONG_TEXT = " ".join(f"word{number}" for number in range(120))
LOOK = """
import asyncio, gc, threading, psutil
from realtime_nb.runtime import runtime
from realtime_nb.session.session import Session

async def tasks():
    return len(asyncio.all_tasks())

def look():
    gc.collect()
    sockets = [c for c in psutil.Process().net_connections("tcp") if c.status in ("LISTEN", "ESTABLISHED")]
    return {
        "threads": sorted(t.name for t in threading.enumerate() if t.name.startswith("realtime_nb")),
        "tasks": runtime().run(tasks(), 5),
        "sockets": len(sockets),
        "sessions": sum(isinstance(o, Session) and o.state == "connected" for o in gc.get_objects()),
    }
"""
CLEAR = """
(index) => {
    const {content} = window.jupyterapp.shell.currentWidget;
    content.widgets[index].outputArea.model.clear();
}
"""


@contextlib.contextmanager
def pictured(notebook: NotebookPage, request: pytest.FixtureRequest) -> Iterator[None]:
    try:
        yield
    except BaseException:
        keep_picture(notebook, request.node.name)
        raise


def speak_and_listen(studio: StudioPage) -> int:
    """A long answer plays while the microphone is open (it is silent); returns the answer's stream."""
    before = studio.newest_stream()
    studio.open_microphone()
    studio.say(LONG_TEXT)
    return studio.wait_rendered(12_000, after_stream=before)


def check_quiet(studio: StudioPage, stream: int) -> None:
    """Nothing plays and nothing listens in the page."""
    studio.wait_microphone_off()
    studio.wait_stream_through(stream)
    assert studio.probe("microphoneFramesSent") == studio.probe("microphoneFramesSent")


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "silence.wav"
    AudioClip.silence(1000).resampled(48_000).save(path)
    return path


@pytest.fixture(scope="module")
def notebook(lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    with running_notebook(browser, lab, "endings.ipynb", [CONNECT, STUDIO, LOOK, "", ""]) as page:
        yield page


@pytest.fixture
def studio(notebook: NotebookPage, request: pytest.FixtureRequest) -> Iterator[StudioPage]:
    """A fresh session and its Studio."""
    notebook.run(0)
    notebook.run(1)
    with pictured(notebook, request):
        yield StudioPage.of(notebook, 1)


def test_cells_run_again_leave_one_of_everything(studio: StudioPage) -> None:
    notebook = studio.notebook
    notebook.run(2)
    studio.wait_kernel("look()['sessions'] == 1", timeout_s=15)
    before = studio.kernel_value("look()")
    assert before["threads"].count("realtime_nb-runtime") == 1
    for _ in range(3):
        stream = speak_and_listen(studio)
        notebook.run(0)
        notebook.run(1)
        studio.wait_microphone_off()
        studio.wait_stream_through(stream)
        studio = StudioPage.of(notebook, 1)
    seen = studio.wait_kernel("(lambda now: now if now['sessions'] == 1 else None)(look())", timeout_s=15)
    studio.wait_kernel(f"look()['tasks'] <= {before['tasks']}", timeout_s=15)
    studio.wait_kernel(f"look()['sockets'] <= {before['sockets']}", timeout_s=15)
    assert seen["threads"] == before["threads"]
    studio.open_microphone()
    assert studio.page.evaluate("() => rnbTracks.filter((track) => track.readyState === 'live').length") == 1
    studio.close_microphone()


def test_output_cleared_while_it_speaks(studio: StudioPage) -> None:
    stream = speak_and_listen(studio)
    studio.page.evaluate(CLEAR, 1)
    expect(studio.root).to_have_count(0)
    check_quiet(studio, stream)
    studio.wait_kernel("not studio._desk._listening and not studio._desk.link.clients")
    cut = studio.wait_kernel(
        "[e.event for e in session.events if e.event_type == 'conversation.item.truncate']", timeout_s=15
    )
    assert [event["audio_end_ms"] for event in cut] == [studio.streams()[stream] // 24]


def test_widget_closed_while_it_speaks(studio: StudioPage) -> None:
    stream = speak_and_listen(studio)
    studio.notebook.set_source(3, "studio.close()\nsession.state")
    studio.notebook.run(3)
    assert studio.notebook.output_text(3) == "'connected'"
    expect(studio.root).to_have_count(0)
    check_quiet(studio, stream)
    assert studio.kernel_value("not studio._desk.link.clients")


def test_two_views_on_one_page_play_once(studio: StudioPage) -> None:
    studio.notebook.set_source(3, "studio")
    studio.notebook.run(3)
    twin = StudioPage.of(studio.notebook, 3)
    before = studio.newest_stream()
    twin.say("one voice only")
    studio.wait_kernel("len(session.history) == 1")
    studio.wait_silent()
    for view in (studio, twin):
        expect(view.lines("assistant")).to_have_text(re.compile("You said: one voice only."))
    played = {stream: count for stream, count in studio.streams().items() if stream > before}
    assert list(played.values()) == [studio.kernel_value("len(session.history[-1].audio.samples)")]
    assert studio.kernel_value("len(studio._desk.link.clients)") == 1


@pytest.mark.alone
def test_a_second_page_is_silent_until_it_is_used(studio: StudioPage, lab: Lab, browser: Browser) -> None:
    studio.notebook.set_source(3, "")
    studio.notebook.run(3)
    studio.notebook.save()
    with open_page(browser, lab, "endings.ipynb") as other_page:
        other = StudioPage.of(other_page, 1)
        expect(other.root.get_by_text("Audio is in another view of this widget.")).to_be_visible()
        expect(other.talk).to_be_disabled()
        before = studio.newest_stream()
        studio.say(LONG_TEXT)
        first = studio.wait_rendered(24_000, after_stream=before)
        expect(other.lines("assistant")).to_contain_text(["You said: word0"])
        assert other.streams() == {}
        other.button("Use this view").click()
        second = other.wait_rendered(24_000, after_stream=0)
        studio.wait_stream_through(first)
        expect(studio.root.get_by_text("Audio is in another view of this widget.")).to_be_visible()
        expect(other.talk).to_be_enabled()
        other.button("Stop").click()
        (cut,) = other.wait_kernel(
            "[e.event for e in session.events if e.event_type == 'conversation.item.truncate']", timeout_s=15
        )
        # The second view begins where the first last said it was, at most one report (40 ms) before it fell silent.
        heard_ms = (studio.streams()[first] + other.streams()[second]) // 24
        assert heard_ms - 60 <= cut["audio_end_ms"] <= heard_ms
    expect(studio.root.get_by_text("Audio is in another view of this widget.")).to_be_hidden()


def test_kernel_restart_stops_the_microphone_and_says_so(studio: StudioPage) -> None:
    stream = speak_and_listen(studio)
    studio.notebook.restart_kernel()
    studio.wait_microphone_off()
    expect(studio.root.get_by_text("The kernel does not answer: it was restarted or stopped.")).to_be_visible(
        timeout=45_000
    )
    expect(studio.lines("user").last).to_contain_text("word0")
    studio.wait_stream_through(stream)
    expect(studio.talk).to_be_disabled()
    expect(studio.button("Try again")).to_be_visible()
