"""Tools in the Studio: a person approves or refuses a call; what became of each call stands in the transcript."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import FAILED
from tests.browser.lab import Lab
from tests.browser.looks import OVERFLOWING, SIZES, check_contrast
from tests.browser.studio_page import STUDIO, WAIT_S, StudioPage, keep_picture, running_notebook

CONNECT = """
import realtime_nb as rt
from realtime_nb.engines.base import ToolCall
from realtime_nb.engines.scripted import ScriptedChat

order = ToolCall(name="place_order", arguments='{"item": "pizza margherita", "count": 2, "notes": "no olives, please"}')
rules = [
    ("^order", order),
    ("^cancel", ToolCall(name="cancel_order", arguments='{"number": 7}')),
    ("number.*7", "Your order has number seven."),
    ("declined", "Very well, I will not order it."),
    (".*", "I see."),
]
session = await rt.connect(engine="scripted", chat=ScriptedChat(rules), quiet=True)
"""
TOOLS = """
@session.tool(approval="always")
def place_order(item: str, count: int, notes: str) -> dict:
    "Place an order."
    return {"number": 7, "item": item, "count": count}


@session.tool
def cancel_order(number: int) -> None:
    "Cancel an order."
    raise LookupError(f"order {number} is already on its way")
"""
IN_KERNEL = "__import__('asyncio').run_coroutine_threadsafe(session.{}, session.loop).result(10)"
WAITING = "[call.call_id for call in session.tool_calls if call.status == 'waiting_for_approval']"
RECORD_PLAYED = """
() => {
    const played = (globalThis.rnbPlayed = []), createBuffer = AudioContext.prototype.createBuffer;
    AudioContext.prototype.createBuffer = function (channels, length, rate) {
        played.push(length);
        return createBuffer.call(this, channels, length, rate);
    };
}
"""
READ = (".rnb-approval p", ".rnb-approval dt", ".rnb-approval dd", ".rnb-approval .rnb-button", ".rnb-tool-result")


@pytest.fixture(scope="module")
def studio(lab: Lab, browser: Browser) -> Iterator[StudioPage]:
    with running_notebook(browser, lab, "tools.ipynb", [CONNECT, TOOLS, STUDIO]) as notebook:
        studio = StudioPage.of(notebook, 2)
        studio.wait_kernel("len(session.config.tools) == 2")
        yield studio


@pytest.fixture(autouse=True)
def pictured(studio: StudioPage, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if request.node.stash.get(FAILED, True):
        keep_picture(studio.notebook, request.node.name)
    assert studio.kernel_value(WAITING) == []


def card(studio: StudioPage) -> Locator:
    return studio.root.get_by_role("group", name="May the assistant run place_order?")


def order(studio: StudioPage) -> Locator:
    """Ask for something that needs approval, wait for the card, and return the call's line of the transcript."""
    calls = studio.lines("tool").count()
    studio.say("order a pizza")
    expect(card(studio)).to_be_visible(timeout=WAIT_S * 1000)
    expect(studio.lines("tool")).to_have_count(calls + 1, timeout=WAIT_S * 1000)
    line = studio.lines("tool").last
    expect(line.locator(".rnb-line-note")).to_have_text("waits for approval")
    return line


def test_a_call_is_shown_and_approved_with_the_keyboard(studio: StudioPage) -> None:
    line = order(studio)
    assert card(studio).locator("dt, dd").all_inner_texts() == [
        *("item", "pizza margherita"),
        *("count", "2"),
        *("notes", "no olives, please"),
    ]
    try_sizes(studio, "approval")
    studio.button("Disconnect").focus()
    studio.page.keyboard.press("Tab")
    expect(studio.button("Approve")).to_be_focused()
    studio.page.keyboard.press("Enter")
    expect(card(studio)).to_have_count(0, timeout=WAIT_S * 1000)
    expect(line.locator(".rnb-line-text")).to_have_text(
        "place_order item: pizza margherita, count: 2, notes: no olives, please"
    )
    expect(line.locator(".rnb-tool-result")).to_have_text('→ {"number":7,"item":"pizza margherita","count":2}')
    expect(line.locator(".rnb-line-note")).to_contain_text("ms")
    expect(studio.lines("assistant").last).to_contain_text("number seven", timeout=WAIT_S * 1000)


def test_a_refused_call_is_not_run_and_the_model_is_told(studio: StudioPage) -> None:
    line = order(studio)
    studio.button("Refuse").click()
    expect(card(studio)).to_have_count(0, timeout=WAIT_S * 1000)
    expect(line.locator(".rnb-line-note")).to_have_text("refused")
    expect(line.locator(".rnb-tool-result")).to_have_text("The user declined this call.")
    expect(studio.lines("assistant").last).to_contain_text("will not order", timeout=WAIT_S * 1000)


@pytest.mark.parametrize(("how", "note"), [("approve", "ms"), ("cancel_tool", "cancelled")])
def test_the_card_goes_when_code_decides(studio: StudioPage, how: str, note: str) -> None:
    line = order(studio)
    (call_id,) = studio.kernel_value(WAITING)
    assert studio.kernel_value(IN_KERNEL.format(f"{how}({call_id!r})"))
    expect(card(studio)).to_have_count(0, timeout=WAIT_S * 1000)
    expect(line.locator(".rnb-line-note")).to_contain_text(note)


def test_an_error_stands_in_the_transcript(studio: StudioPage) -> None:
    calls = studio.lines("tool").count()
    studio.say("cancel my order")
    expect(studio.lines("tool")).to_have_count(calls + 1, timeout=WAIT_S * 1000)
    line = studio.lines("tool").last
    expect(line.locator(".rnb-line-note")).to_contain_text("failed")
    expect(line.locator(".rnb-tool-result")).to_have_text("LookupError: order 7 is already on its way")
    try_sizes(studio, "tool-error")


def test_runs_of_audio_are_one_row_until_they_are_unfolded(studio: StudioPage) -> None:
    studio.wait_silent()
    studio.wait_for("() => !document.querySelector('#jupyterlab-splash')")
    listed = studio.root.locator(".rnb-list")
    run = listed.locator(".rnb-event[data-run=folded]", has_text="response.output_audio.delta").last
    expect(run).to_contain_text("kB · over")
    studio.notebook.screenshot("inspector-folded", of=studio.root)
    studio.page.evaluate(RECORD_PLAYED)
    run.locator(".rnb-event-audio").click()
    studio.wait_for("(n_samples) => rnbPlayed.includes(n_samples)", len(studio.turn_audio()))
    run.click()
    member = listed.locator(".rnb-event[data-member]", has_text="response.output_audio.delta").first
    member.click()
    title = studio.root.locator(".rnb-detail-title")
    expect(title).to_contain_text("response.output_audio.delta")
    json = studio.root.locator(".rnb-json")
    expect(json).not_to_contain_text("bytes of audio", timeout=WAIT_S * 1000)  # the whole event came from the kernel
    expect(json).to_contain_text('"delta": "')
    studio.notebook.screenshot("inspector-unfolded", of=studio.root)
    studio.button("Fold").click()
    expect(listed.locator(".rnb-event[data-run]")).to_have_count(0)
    studio.button("Fold").click()


def try_sizes(studio: StudioPage, name: str) -> None:
    """Take a picture in every size and theme; nothing runs over the edge and everything can be read."""
    for size, (width, height) in SIZES.items():
        studio.page.set_viewport_size({"width": width, "height": max(height, 2000 if width < 720 else 0)})
        for theme in ("light", "dark"):
            studio.notebook.set_theme(theme)
            studio.wait_for("() => !document.querySelector('#jupyterlab-splash')")
            studio.root.scroll_into_view_if_needed()
            studio.notebook.screenshot(f"{name}-{size}-{theme}", of=studio.root)
            assert studio.root.evaluate(OVERFLOWING) == []
            check_contrast(studio.root, READ)
    studio.page.set_viewport_size({"width": 1280, "height": 1000})
    studio.notebook.set_theme("light")
    studio.wait_for("() => !document.querySelector('#jupyterlab-splash')")
