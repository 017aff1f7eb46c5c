"""Views in a real Chromium against a scripted kernel, in the widths and themes that people have."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from realtime_nb.widgets import messages
from tests.browser.frontend_page import ScriptedKernel
from tests.browser.looks import OVERFLOWING, check_contrast

FOLDER = "recordings/2026-11-22_20-31-05"
STOPPED = f"Recording stopped: the disk is full. What was written is in the folder {FOLDER}"
HTML = '<img src=x onerror="document.title = 1"><b>bold</b>'


def open_view(browser: Browser, kernel: ScriptedKernel, *, width: int, dark: bool = False) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 740}, color_scheme="dark" if dark else "light")
    page.goto(kernel.url)
    kernel.wait_for(messages.Hello)
    return page


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1920])
def test_the_studio_says_that_it_is_recorded_where_to_and_that_the_disk_is_full(
    browser: Browser, width: int, dark: bool
) -> None:
    attributes = f'data-jp-theme-light="{"false" if dark else "true"}"'
    with ScriptedKernel(body_attributes=attributes, body_style=f"background: {'#111' if dark else '#fff'}") as kernel:
        page = open_view(browser, kernel, width=width, dark=dark)
        sign = page.locator(".rnb-recording")
        expect(sign).to_be_hidden()
        for state, problem, words in (
            ("writing", "", f"Recording to the folder {FOLDER}"),
            (
                "failed",
                "the disk is full",
                STOPPED,
            ),
            ("ended", "", f"Recorded to the folder {FOLDER}"),
        ):
            recording = messages.RecordingRow(folder=FOLDER, state=state, problem=problem)  # type: ignore[arg-type]
            kernel.send(messages.SessionState(state="connected", engine="offline", recording=recording))
            expect(sign).to_have_text(words)
            expect(sign).to_have_attribute("title", words)
            expect(sign).to_have_role("status")
            check_contrast(page.locator(".rnb-studio"), [".rnb-chip"])
            assert page.locator(".rnb-studio").evaluate(OVERFLOWING) == []
        page.close()


def test_what_people_and_models_say_is_text_only_and_has_its_own_direction(browser: Browser) -> None:
    with ScriptedKernel() as kernel:
        page = open_view(browser, kernel, width=360)
        call = messages.ToolCallRow(
            call_id="c", item_id="c", name=HTML, arguments=f'{{"note": {HTML!r}}}', status="waiting_for_approval"
        )
        arabic = "أين طلبي رقم 4271؟"
        entries = [
            messages.TranscriptEntry(item_id=str(order), order=order, role="user", text=text, final=True)
            for order, text in enumerate((HTML, arabic, "Donaudampfschifffahrt" * 20))
        ]
        event = messages.EventRow(
            sequence=0, time_ms=0.0, direction="received", event_type=HTML, summary=HTML, payload=HTML
        )
        kernel.send(
            messages.SessionState(state="failed", engine=HTML, error=HTML, what_now=HTML),
            messages.ToolCalls(calls=[call]),
            messages.TranscriptUpdate(entries=entries),
            messages.Events(rows=[event]),
            messages.Clips(clips=[messages.ClipEntry(clip_id="a", title=HTML, duration_ms=1, origin=HTML)]),
        )
        lines = page.locator(".rnb-line-text")
        expect(lines).to_have_count(3)
        expect(lines.first).to_have_text(HTML)
        directions = lines.evaluate_all("(all) => all.map((each) => getComputedStyle(each).direction)")
        assert directions == ["ltr", "rtl", "ltr"]
        page.locator(".rnb-event").click()
        expect(page.locator(".rnb-json")).to_have_text(HTML)
        assert page.locator(".rnb img, .rnb b").count() == 0
        assert page.title() == "realtime_nb"
        assert page.locator(".rnb-studio").evaluate(OVERFLOWING) == []
        page.close()


def test_the_inspector_alone_names_its_events_in_a_narrow_page(browser: Browser) -> None:
    with ScriptedKernel("inspector") as kernel:
        page = open_view(browser, kernel, width=280)
        rows = [
            messages.EventRow(
                sequence=sequence,
                time_ms=20.0 * sequence,
                direction="received",
                event_type="response.output_audio.delta",
                summary="",
                payload="{}",
                audio_ms=20.0,
                audio_bytes=960,
            )
            for sequence in range(14)
        ]
        kernel.send(messages.Events(rows=rows))
        name, count = page.locator(".rnb-event-type"), page.locator(".rnb-event-count")
        expect(count).to_have_text("▸ ×14")
        assert name.evaluate("(element) => element.clientWidth") > 80
        assert page.locator(".rnb").evaluate(OVERFLOWING) == []
        page.close()
