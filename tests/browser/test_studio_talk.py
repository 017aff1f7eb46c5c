"""Somebody opens the first notebook, runs it, and talks: pointer, keyboard, open microphone; and hears the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import FAILED
from tests.browser.lab import Lab
from tests.browser.studio_page import (
    StudioPage,
    aligned,
    check_heard,
    keep_picture,
    named_first_notebook,
    running_notebook,
    speech_wav,
    wait_answered,
)

pytestmark = pytest.mark.alone

LONG_TEXT = " ".join(f"word{number}" for number in range(120))
SCRIPTED = "import os\nos.environ['REALTIME_NB_ENGINE'] = 'scripted'"


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_wav(tmp_path_factory.mktemp("microphone") / "speech.wav", "order_status", before_ms=1200)


@pytest.fixture(scope="module")
def module_studio(lab: Lab, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioPage]:
    """The first notebook as it is, on the scripted engine; its Studio cell gives the widget a name for the tests."""
    path = tmp_path_factory.mktemp("notebook") / "talk.ipynb"
    cell = named_first_notebook(path, first_cell=SCRIPTED)
    with running_notebook(browser, lab, "talk.ipynb", path) as page:
        yield StudioPage.of(page, cell)


@pytest.fixture
def studio(module_studio: StudioPage, request: pytest.FixtureRequest) -> Iterator[StudioPage]:
    """The one Studio of this module, silent and with the microphone off before and after."""
    yield module_studio
    if request.node.stash.get(FAILED, True):
        keep_picture(module_studio.notebook, request.node.name)
    for name in ("Close microphone", "Stop"):
        if (button := module_studio.button(name)).is_visible() and button.is_enabled():
            button.click()
    module_studio.wait_microphone_off()
    module_studio.wait_silent()


def turns_before(studio: StudioPage) -> int:
    return int(studio.kernel_value("len(session.history)"))


@pytest.mark.parametrize("way", ["pointer", "keyboard"])
def test_push_to_talk(studio: StudioPage, way: str) -> None:
    history, stream, users = turns_before(studio), studio.newest_stream(), studio.lines("user").count()
    frames = studio.probe("microphoneFramesSent")
    studio.tap()
    if way == "pointer":
        studio.talk.hover()
        studio.page.mouse.down()
    else:
        studio.talk.focus()
        studio.page.keyboard.down("Space")
    expect(studio.talk).to_have_text("Listening · release to send")
    studio.wait_frames(220, since=frames)
    if way == "pointer":
        studio.page.mouse.up()
    else:
        studio.page.keyboard.up("Space")
    stream = wait_answered(studio, history, stream)
    said = studio.last_line("user", count=users + 1).locator(".rnb-line-text").inner_text()
    assert said == studio.kernel_value("session.history[-1].user_transcript")
    expect(studio.lines("assistant").last).to_contain_text(f"You said: {said}.")
    studio.wait_microphone_off()
    assert studio.kernel_value("session.config.audio.input.turn_detection is None")
    spoken = studio.kernel_value("session.history[-1].user_audio.duration_ms")
    assert spoken >= 220 * 20
    check_heard(studio, stream)


def test_open_microphone_under_server_vad(studio: StudioPage) -> None:
    history, stream, users = turns_before(studio), studio.newest_stream(), studio.lines("user").count()
    captions = len(studio.captions("user"))
    studio.tap()
    studio.open_microphone()
    stream = wait_answered(studio, history, stream)
    said = studio.last_line("user", count=users + 1).locator(".rnb-line-text").inner_text()
    expect(studio.lines("assistant").last).to_contain_text(f"You said: {said}.")
    shown = studio.captions("user")[captions:]
    assert shown[-1] == (True, said)
    partials = [text for final, text in shown if not final and text != "…"]
    assert partials
    assert all(said.startswith(text) for text in partials)
    assert studio.kernel_value("type(session.config.audio.input.turn_detection).__name__") == "ServerVad"
    speech_ms = studio.kernel_value(
        "session.history[-1].marks.speech_stopped_ms - session.history[-1].marks.speech_started_ms"
    )
    assert 2000 < speech_ms < 4000
    check_heard(studio, stream)


# --- barge-in ---

CUTS = ("conversation.item.truncate", "conversation.item.delete")


def cuts(studio: StudioPage) -> list[dict[str, Any]]:
    return [event for kind in CUTS for event in studio.events(kind)]


def start_long_answer(studio: StudioPage) -> int:
    """Ask for more than 20 s of answer and wait until a second of it was heard; return its stream."""
    before = studio.newest_stream()
    studio.tap()
    studio.say(LONG_TEXT)
    return studio.wait_rendered(24_000, after_stream=before)


FADED_SAMPLES = 256
"""The end of what was heard fades out, so that the cut does not click."""


def check_cut(studio: StudioPage, stream: int, former: int) -> None:
    """The server was told what was rendered, nothing comes after that, and the caption shows what was missed."""
    studio.wait_kernel(f"sum(e.event_type in {CUTS!r} for e in session.events) > {former}")
    (cut,) = cuts(studio)[former:]
    assert cut["type"] == "conversation.item.truncate"
    rendered = studio.streams()[stream]
    assert cut["audio_end_ms"] == rendered // 24
    studio.wait_kernel(
        f"any(e.event_type == 'conversation.item.truncated' and e.event['item_id'] == {cut['item_id']!r}"
        " for e in session.events)"
    )
    turn = studio.kernel_value(f"[i for i, t in enumerate(session.history) if {cut['item_id']!r} in t.item_ids][0]")
    sent = studio.turn_audio(turn)
    assert rendered < len(sent)
    studio.wait_tapped(2 * 2048)
    assert aligned(studio.tapped(), sent[: rendered - FADED_SAMPLES])[1] >= 0.999
    line = studio.root.locator(".rnb-line[data-role=assistant]", has=studio.page.locator(".rnb-unheard:visible")).last
    missed = line.locator(".rnb-unheard").inner_text()
    full = line.locator(".rnb-line-text").text_content()
    assert full == studio.kernel_value(f"session.history[{turn}].transcript")
    assert missed  # the rest of what was generated until then, however fast the server is
    assert full.endswith(missed)
    assert line.locator(".rnb-unheard").evaluate("(s) => getComputedStyle(s).textDecorationLine") == "line-through"


def check_nothing_after(studio: StudioPage, stream: int) -> None:
    """The lane is silent, and stays so: the tap goes on and brings zeros; the count stands."""
    rendered = studio.streams()[stream]
    studio.wait_tapped(4 * 2048)
    assert not studio.tapped()[-3 * 2048 :].any()
    assert studio.streams()[stream] == rendered


def test_stop_button_cuts_where_it_was_heard(studio: StudioPage) -> None:
    former = len(cuts(studio))
    stream = start_long_answer(studio)
    studio.button("Stop").click()
    check_cut(studio, stream, former)
    check_nothing_after(studio, stream)


def test_pressing_talk_cuts(studio: StudioPage) -> None:
    former = len(cuts(studio))
    stream = start_long_answer(studio)
    frames = studio.probe("microphoneFramesSent")
    studio.talk.focus()
    studio.page.keyboard.down("Enter")
    check_cut(studio, stream, former)
    check_nothing_after(studio, stream)
    studio.wait_frames(30, since=frames)
    history = turns_before(studio)
    studio.page.keyboard.up("Enter")
    wait_answered(studio, history, stream)


def test_typing_cuts(studio: StudioPage) -> None:
    former = len(cuts(studio))
    stream = start_long_answer(studio)
    studio.say("something else")
    check_cut(studio, stream, former)
    studio.wait_rendered(10_000, after_stream=stream)
    expect(studio.lines("assistant").last).to_contain_text("You said: something else.")


def test_speaking_cuts(studio: StudioPage) -> None:
    former = len(cuts(studio))
    stream = start_long_answer(studio)
    history = turns_before(studio)
    studio.open_microphone()
    check_cut(studio, stream, former)
    wait_answered(studio, history, stream)
    started = studio.events("input_audio_buffer.speech_started")
    assert started
    assert len(cuts(studio)) == former + 1


def test_nothing_heard_deletes_the_item(studio: StudioPage) -> None:
    former, history, stream = len(cuts(studio)), turns_before(studio), studio.newest_stream()
    studio.say("wake up")
    wait_answered(studio, history, stream)
    studio.wait_silent()
    studio.page.evaluate(
        """async () => {
            globalThis.rnbResume = AudioContext.prototype.resume;
            AudioContext.prototype.resume = async () => {};
            await globalThis[Symbol.for('realtime_nb')].playback.context.suspend();
        }"""
    )
    studio.say("nobody hears this")
    studio.wait_kernel(f"len(session.history) > {history + 1}")
    expect(studio.button("Click to enable sound")).to_be_visible()
    studio.button("Stop").click()
    studio.wait_kernel(f"sum(e.event_type in {CUTS!r} for e in session.events) > {former}")
    (cut,) = cuts(studio)[former:]
    assert cut["type"] == "conversation.item.delete"
    assert cut["item_id"] in studio.kernel_value("session.history[-1].item_ids")
    studio.page.evaluate("() => { AudioContext.prototype.resume = globalThis.rnbResume; }")
    studio.button("Click to enable sound").click()
    expect(studio.button("Click to enable sound")).to_be_hidden()


def test_all_heard_truncates_nothing(studio: StudioPage) -> None:
    former, history = len(cuts(studio)), turns_before(studio)
    stream = studio.newest_stream()
    studio.say("short")
    stream = wait_answered(studio, history, stream)
    studio.wait_silent()
    studio.button("Stop").click()
    studio.say("and again")
    wait_answered(studio, history + 1, stream)
    assert len(cuts(studio)) == former
