"""Voice to voice as reported with the browser as loudspeaker, against the samples that came out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import Lab
from tests.browser.studio_page import CONNECT, PROBE, STUDIO, StudioPage, aligned, running_notebook, wait_answered

pytestmark = pytest.mark.alone

TOLERANCE_MS = 30.0
TURNS = 3
FOLLOW = "from realtime_nb.widgets.timeline import Timeline\nTimeline(session)"
TIMED_TAP = f"""
() => {{
    const probe = {PROBE}, samples = new Float32Array(30 * 24000);
    let written = 0;
    const arrived = (globalThis.rnbTapArrived = []);
    probe.tap = true;
    probe.tapped = {{
        rateHz: 24000, samples,
        get written() {{ return written; }},
        set written(value) {{
            written = value;
            if (value % 2048 === 0) arrived.push([value, performance.timeOrigin + performance.now()]);
        }},
    }};
}}
"""
"""Keep what is rendered, and when each block of it reached the page, on the system's clock."""
OUTPUT_LATENCY = """
() => {
    const {context} = globalThis[Symbol.for('realtime_nb')].playback;
    return ((context.outputLatency || 0) + (context.baseLatency || 0)) * 1000;
}
"""
MOMENTS = "{name: moment.time_ms for name, moment in session.history[-1].timeline.moments.items()}"
CLOCK = "__import__('time').time() * 1000 - session.now_ms()"


def rendered_at_ms(studio: StudioPage, sent: np.ndarray[Any, Any]) -> float:
    """Return when the first audible sample of `sent` was handed to the device, in ms of the system's clock."""
    arrived = np.array(studio.page.evaluate("() => rnbTapArrived"))
    # A block arrives when it is full and the page has time: the quickest one tells when sample 0 was due.
    began_ms = float(np.min(arrived[:, 1] - arrived[:, 0] / 24))
    heard = studio.tapped()
    part, correlation = aligned(heard, sent)
    assert correlation > 0.99
    start = (part.__array_interface__["data"][0] - heard.__array_interface__["data"][0]) // heard.itemsize
    audible = int(np.flatnonzero(np.abs(sent) > 10 ** (-45 / 20))[0])
    return began_ms + (start + audible) / 24


@pytest.mark.timeout(240)
def test_voice_to_voice_is_what_the_loudspeaker_got(lab: Lab, browser: Browser) -> None:
    with running_notebook(browser, lab, "truth.ipynb", [CONNECT, STUDIO, FOLLOW]) as notebook:
        studio = StudioPage.of(notebook, 1)
        errors = []
        for turn in range(TURNS):
            stream = studio.newest_stream()
            studio.page.evaluate(TIMED_TAP)
            studio.root.get_by_role("combobox", name="Sample clip").select_option("hello")
            studio.button("Say the clip").click()
            wait_answered(studio, turn, stream)
            studio.wait_tapped(2 * 2048)
            moments, offset_ms = studio.kernel_value(MOMENTS), studio.kernel_value(CLOCK)
            truth_ms = rendered_at_ms(studio, studio.turn_audio()) - offset_ms + studio.page.evaluate(OUTPUT_LATENCY)
            said_ms = moments["rendered"] - moments["speech_end"]
            errors.append(said_ms - (truth_ms - moments["speech_end"]))
            assert 500 < said_ms < 3_000
            assert moments["rendered"] > moments["first_audible"]  # not the ideal player
        print("voice to voice as said minus as rendered, ms:", [round(error, 1) for error in errors])
        assert abs(float(np.median(errors))) <= TOLERANCE_MS, errors

        shown = notebook.output_area(2).locator(".rnb-timeline")
        expect(shown.get_by_role("option")).to_have_count(TURNS)
        expect(shown.locator(".rnb-headline")).to_contain_text("to the loudspeaker")
        expect(shown.locator(".rnb-stage-name").first).to_have_text("VAD hold")
        notebook.screenshot("timeline-live", of=shown)
