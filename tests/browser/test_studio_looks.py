"""How the Studio looks: pictures for people, and what can be checked without eyes: widths, names, focus, contrast."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import FAILED
from tests.browser.lab import Lab
from tests.browser.looks import OVERFLOWING, SIZES, check_contrast
from tests.browser.studio_page import (
    StudioPage,
    check_heard,
    keep_picture,
    named_first_notebook,
    running_notebook,
    speech_wav,
    wait_answered,
)

pytestmark = pytest.mark.alone

LIST_DRAWN = """
() => {
    const list = document.querySelector('.rnb-studio .rnb-list'), box = list.getBoundingClientRect();
    const rows = [...list.querySelectorAll('.rnb-event')];
    const seen = rows.map((row) => row.getBoundingClientRect()).filter((row) =>
        row.bottom > box.top && row.top < box.bottom);
    return new Set(rows.map((row) => row.id)).size === rows.length && seen.length * seen[0]?.height > box.height * 0.9;
}
"""
"""The event list is filled, and no row is there twice."""
READ = [
    ".rnb-state",
    ".rnb-engine",
    ".rnb-chip",
    ".rnb-line-speaker",
    ".rnb-line-text",
    ".rnb-panel-title",
    ".rnb-talk",
]


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_wav(tmp_path_factory.mktemp("microphone") / "speech.wav", "order_status")


@pytest.fixture(scope="module")
def studio(lab: Lab, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioPage]:
    """The first notebook on the offline engines."""
    path = tmp_path_factory.mktemp("notebook") / "looks.ipynb"
    cell = named_first_notebook(path)
    with running_notebook(browser, lab, "looks.ipynb", path) as notebook:
        yield StudioPage.of(notebook, cell)


@pytest.fixture(autouse=True)
def pictured(studio: StudioPage, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if request.node.stash.get(FAILED, True):
        keep_picture(studio.notebook, request.node.name)


def test_a_question_in_speech_is_understood_and_answered_offline(studio: StudioPage) -> None:
    history, stream, users = studio.kernel_value("len(session.history)"), 0, studio.lines("user").count()
    studio.tap()
    studio.open_microphone()
    stream = wait_answered(studio, history, stream)
    studio.close_microphone()
    said = studio.last_line("user", count=users + 1).locator(".rnb-line-text").inner_text()
    assert said == "where is my order number four two seven one"
    partials = [text for final, text in studio.captions("user") if not final and text != "…"]
    assert sum(said.startswith(text) for text in partials) >= 2, partials
    expect(studio.lines("assistant").last).to_contain_text("4271")
    check_heard(studio, stream)


def test_an_answer_in_speech_is_cut_where_it_was_heard(studio: StudioPage) -> None:
    before = studio.newest_stream()
    studio.say("where is my order number 4271")
    stream = studio.wait_rendered(36_000, after_stream=before)
    studio.button("Stop").click()
    (cut,) = studio.wait_kernel("[e.event for e in session.events if e.event_type == 'conversation.item.truncate']")
    assert cut["audio_end_ms"] == studio.streams()[stream] // 24
    expect(studio.root.locator(".rnb-unheard:visible")).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_and_theme(studio: StudioPage, size: str, theme: str) -> None:
    width, height = SIZES[size]
    studio.page.set_viewport_size({"width": width, "height": height})
    studio.notebook.set_theme(theme)
    studio.root.scroll_into_view_if_needed()
    studio.wait_for(LIST_DRAWN)
    studio.notebook.screenshot(f"studio-{size}-{theme}", of=studio.root)
    studio.notebook.screenshot(f"page-{size}-{theme}")
    overflowing = studio.root.evaluate(OVERFLOWING)
    assert not overflowing, "\n".join(overflowing)
    assert studio.root.evaluate("(root) => root.scrollWidth <= root.clientWidth")
    studio.root.locator(".rnb-menu summary").click()
    studio.notebook.screenshot(f"types-{size}-{theme}", of=studio.root)
    overflowing = studio.root.evaluate(OVERFLOWING)
    assert not overflowing, "\n".join(overflowing)
    studio.page.keyboard.press("Escape")
    check_contrast(studio.root, READ)


def test_everything_has_a_name_and_a_role(studio: StudioPage) -> None:
    tree = studio.root.aria_snapshot()
    for role in ("button", "textbox", "combobox", "searchbox", "log", "region", "img", "listbox", "group"):
        assert f"- {role}\n" not in tree.replace(":\n", "\n"), f"a {role} without a name"
    for wanted in (
        'button "Hold to talk"',
        'button "Open microphone"',
        'button "Stop"',
        'button "Say the clip"',
        'button "Send"',
        'textbox "Message to the assistant"',
        'combobox "Sample clip"',
        'log "Transcript"',
        "AI voice",
        "status",
    ):
        assert wanted in tree


def test_the_keyboard_reaches_everything_and_shows_where_it_is(studio: StudioPage) -> None:
    studio.page.set_viewport_size({"width": 1280, "height": 1000})
    studio.button("Disconnect").focus()
    seen: list[str] = []
    for _ in range(14):
        studio.page.keyboard.press("Tab")
        focused = studio.page.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element);
                const shown = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)
                    || style.boxShadow !== 'none';
                const name = element.getAttribute('aria-label') || element.innerText || element.title;
                return [element.closest('.rnb-studio') !== null, shown, name];
            }"""
        )
        if not focused[0]:
            break
        assert focused[1], f"{focused[2]!r} has the focus and does not show it"
        seen.append(focused[2].strip())
    wanted = [
        "Hold to talk",
        "Open microphone",
        "Sample clip",
        "Say the clip",
        "Audio file…",
        "Message to the assistant",
    ]
    assert [name for name in seen if name in wanted] == wanted
    assert "Transcript" in seen
    assert "Search events" in seen
