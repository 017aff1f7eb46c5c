"""The page of a recording, opened from the file system in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from realtime_nb.replay.reader import Recording
from realtime_nb.testing.recordings import make_recording
from tests.browser.lab import RESULTS

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2> it is on its way"


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    recording = Recording.open(make_recording(folder / "made", turns=6, answer=HOSTILE, question="where is my order"))
    return recording.to_html(folder / "page.html")


class Opened:
    """A page from the file system, and everything it complained of or asked for."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".row")


def until(page: Page, condition: str) -> None:
    """Wait for a state. (Playwright's own way evaluates text in the page, which its policy forbids.)"""
    deadline_s = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline_s, condition
        page.wait_for_timeout(20)


@pytest.fixture
def opened(browser: Browser, page_path: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    yield Opened(context.new_page(), page_path)
    context.close()


def test_it_works_without_network_and_runs_nothing_of_what_was_said(opened: Opened, page_path: Path) -> None:
    assert opened.complaints == []
    assert opened.page.evaluate("window.hacked") is None
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:"))] == []
    assert HOSTILE in opened.page.inner_text("#transcript")


def test_it_plays_and_mutes(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Space")
    until(page, "audio.currentTime > 0.2")
    assert abs(page.evaluate("audio.duration") - 72) < 0.1
    page.keyboard.press("Space")
    until(page, "audio.paused")
    page.uncheck("#hear-assistant")
    assert page.evaluate("mixer.gains.map((gain) => gain.gain.value)") == [1, 0]
    assert opened.complaints == []


def test_events_are_filtered_chosen_and_heard_by_keyboard(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("/")
    page.keyboard.type("received transcription.completed")
    assert page.inner_text("#count").startswith("6 of ")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert '"input_audio_buffer.append"' in page.inner_text("#detail")
    page.keyboard.press("PageDown")
    assert page.locator(".row.chosen").count() == 1
    assert page.evaluate("positionMs") > 0
    page.click(".turn:nth-child(3) button")
    assert page.evaluate("Math.round(audio.currentTime)") == 24


def test_the_waveform_zooms_and_seeks(opened: Opened) -> None:
    page = opened.page
    box = page.locator("#waves").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert abs(page.evaluate("positionMs") - 36_000) < 500
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate("waves.scrollWidth / waves.clientWidth") == pytest.approx(4, abs=0.1)
    assert page.locator("#waves").get_attribute("aria-valuetext") == "0:36.0" or opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_it_fits_every_width_in_light_and_dark(browser: Browser, page_path: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    opened = Opened(context.new_page(), page_path)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.complaints == []
    ground, text = opened.page.evaluate(
        "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3))"
    )
    bright = [sum(map(int, channels)) / 3 for channels in (ground, text)]
    assert (bright[0] > bright[1]) == (scheme == "light")
    assert abs(bright[0] - bright[1]) > 150
    RESULTS.mkdir(exist_ok=True)
    opened.page.screenshot(path=RESULTS / f"recording-{scheme}-{width}.png")
    context.close()
