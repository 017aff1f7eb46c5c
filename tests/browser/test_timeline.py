"""The Timeline widget in real JupyterLab: read by pointer, keyboard and ear, in every size and theme."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.looks import check_looks

MAKE = """
from realtime_nb.timing.marks import Marks, timeline
from realtime_nb.widgets.timeline import Timeline

def turn(route, end_error_ms=0.0, unmeasured=None, **times_ms):
    marks = Marks()
    for name, time_ms in times_ms.items():
        marks.set(name, time_ms)
    for name, why in (unmeasured or {}).items():
        marks.cannot(name, why)
    return timeline(marks, route)

realtime = turn("realtime", speech_end=0, speech_stopped=520, committed=523.5, first_audio=590, transcript=640,
                first_audible=612, unmeasured={"rendered": "no loudspeaker was attached that says what it rendered"})
chain = turn("chain", speech_end=0, speech_stopped=520, uploaded=540, transcript=840, first_text=1290,
             first_audio=1900, first_audible=1960, rendered=2004,
             unmeasured={"text_ready": "the voice did not say when it was given its text"})
wrong = turn("realtime", speech_end=0, speech_stopped=500, committed=480, first_audio=700, first_audible=720)
"""
DESCRIPTION = "(element) => document.getElementById(element.getAttribute('aria-describedby')).innerText"
READ = (".rnb-headline", ".rnb-stage-name", ".rnb-took", ".rnb-explain", ".rnb-count", ".rnb-flags", ".rnb-axis span")


@pytest.mark.timeout(200)
def test_a_turn_is_read_by_pointer_and_keyboard_in_every_size(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        [
            MAKE,
            "widget = Timeline([realtime, wrong, chain], made_by='scripted engine'); widget",
            "len(widget.turns)",
        ]
    )
    notebook.run(0)
    notebook.run(1)
    area = notebook.output_area(1)
    root = area.locator(".rnb-timeline")
    expect(root.locator(".rnb-headline")).to_have_text("Voice to voice 2004 ms, to the loudspeaker")

    names = root.locator(".rnb-stage-name")
    expect(names.first).to_have_text("VAD hold")
    assert names.all_inner_texts()[-1] == "Text ready"
    explanation = root.locator(".rnb-explain")
    root.locator("tr", has_text="Unattributed").hover()
    expect(explanation).to_contain_text("no stage explains")
    expect(explanation).to_contain_text("610 ms, measured")

    root.get_by_role("option", selected=True).focus()
    notebook.page.keyboard.press("ArrowUp")
    expect(root.get_by_text("committed came 20.0 ms before speech_stopped").last).to_be_visible()
    expect(root.get_by_role("alert")).to_contain_text("Not believable")
    notebook.page.keyboard.press("Home")
    expect(root.locator(".rnb-headline")).to_contain_text("Voice to voice 612 ms")
    notebook.page.keyboard.press("Tab")
    expect(explanation).to_contain_text("silence that the detector waits for")
    notebook.page.keyboard.press("ArrowDown")
    expect(explanation).to_contain_text("3.5 ms, measured")
    notebook.page.keyboard.press("End")
    expect(explanation).to_contain_text("no loudspeaker was attached")
    focused = notebook.page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid"
    tree = root.aria_snapshot()
    for wanted in ('listbox "Turns"', 'table "Realtime', 'rowheader "VAD hold"', 'cell "520 ms', "beside the others"):
        assert wanted in tree, tree
    described = names.first.evaluate(
        "(name) => document.getElementById(name.getAttribute('aria-describedby')).innerText"
    )
    assert re.search(r"silence that the detector waits for.*520 ms, measured", described)

    check_looks(notebook, root, "timeline", READ)
    errors = [line for line in notebook.console if line.startswith("pageerror")]
    assert errors == []
