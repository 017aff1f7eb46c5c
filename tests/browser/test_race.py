"""The Race widget in real JupyterLab, on the embedded server with scripted engines, and from saved runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.looks import check_looks

READ = (
    ".rnb-lane-title",
    ".rnb-lane-made",
    ".rnb-lane-time",
    ".rnb-lane-words",
    ".rnb-lane-heard",
    ".rnb-fairness",
    ".rnb-race-status",
    ".rnb-race-table th",
    ".rnb-race-table td",
    ".rnb-made-by",
)
SOUND = """
() => {
    const heard = [];
    for (const name of ['AudioBufferSourceNode']) {
        const start = window[name].prototype.start;
        window[name].prototype.start = function (...when) {
            heard.push(this.buffer.length);
            return start.apply(this, when);
        };
    }
    window.realtimeNbHeard = heard;
}
"""


@pytest.mark.timeout(240)
def test_a_race_is_started_watched_heard_and_stopped(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(
        [
            "import realtime_nb as rt\nfrom realtime_nb.widgets.race import Race\n"
            "race = Race(rt.clip('order_status'), engine='scripted')\nrace",
            "[(row.pipeline, row.status) for row in race.comparison.rows]",
            "import threading\nrace.close()\n"
            "sorted(t.name for t in threading.enumerate() if 'worker' in t.name.lower())",
        ]
    )
    notebook.evaluate(SOUND)
    notebook.run(0)
    root = notebook.output_area(0).locator(".rnb-race")
    lanes = root.locator(".rnb-race-lane")
    expect(lanes).to_have_count(4)
    start, stop = (
        root.get_by_role("button", name=re.compile("Start|Race again")),
        root.get_by_role("button", name="Stop"),
    )
    expect(start).to_be_enabled(timeout=15_000)
    expect(stop).to_be_disabled()
    start.focus()
    notebook.page.keyboard.press("Enter")
    expect(root.locator(".rnb-race-status")).to_have_text(re.compile("^race"), timeout=60_000)
    notebook.screenshot("race-running", of=root)
    expect(root.locator("[data-phase=done]")).to_have_count(4, timeout=60_000)
    expect(root.locator(".rnb-race-status")).to_have_text("race done")
    expect(root.locator(".rnb-lane-time").first).to_have_text(re.compile(r"^[\d.]+ ms$"))
    assert sorted(lanes.evaluate_all("(all) => all.map((lane) => lane.dataset.place)")) == ["1", "2", "3", "4"]
    expect(root.get_by_role("status").first).to_have_text(re.compile("place|ms"))
    expect(root.locator(".rnb-fairness")).to_contain_text("compete for it")
    heard = notebook.evaluate("() => window.realtimeNbHeard.length")
    assert heard >= 5  # the question and four answers

    pressed = lanes.get_by_role("button", name="Mute").evaluate_all("(all) => all.map((each) => each.ariaPressed)")
    assert sorted(pressed) == ["false", "true", "true", "true"]  # one lane is heard
    lanes.nth(0).get_by_role("button", name="Play the answer").click()
    notebook.wait_for("(before) => window.realtimeNbHeard.length > before", heard)
    pressed = lanes.get_by_role("button", name="Mute").evaluate_all("(all) => all.map((each) => each.ariaPressed)")
    assert pressed == ["false", "true", "true", "true"]
    root.get_by_role("button", name="Show again").click()
    expect(root.get_by_role("button", name="Show again")).to_be_disabled()
    expect(root.get_by_role("button", name="Show again")).to_be_enabled(timeout=20_000)

    check_looks(notebook, root, "race", READ)
    tree = root.aria_snapshot()
    for wanted in (
        'list "Lanes"',
        'combobox "How many races"',
        'group "Sound of Realtime"',
        "VAD hold",
        'checkbox "hear',
    ):
        assert wanted in tree, tree

    start.click()
    stop.click()  # waits until there is something to stop
    expect(root.locator("[data-phase=stopped]")).to_have_count(4, timeout=15_000)
    expect(root.locator(".rnb-race-status")).to_have_text("stopped")
    notebook.run(1)
    assert notebook.output_text(1).count("completed") == 4
    notebook.run(2)
    assert [line for line in notebook.console if line.startswith("pageerror")] == []


SAVED = """
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import Row
from realtime_nb.widgets.race import Race

def run(number, pipeline, total_ms, **stages):
    return Row(run=number, pipeline=pipeline, clip="Where is my order?", repeat=number, status="completed",
               engine="scripted", endpoint="embedded", voice_to_voice_ms=total_ms, **stages)

rows = [run(n, "chain", 1900.0 + 9 * n, vad_hold_ms=520.0, transcription_ms=600.0, first_text_ms=300.0,
            first_audio_ms=400.0 + 9 * n, unattributed_ms=80.0) for n in range(8)]
rows += [run(n, "realtime", 640.0 + 5 * n, vad_hold_ms=520.0, first_audio_ms=120.0 + 5 * n) for n in range(8)]
rows.append(Row(run=20, pipeline="chat-audio", clip="order", status="timed_out", error="no answer in 60 s"))
Race(measured=Comparison(rows, StudyProvenance(seed=3, machine="a test", created="2026-11-22")))
"""


def test_saved_runs_are_shown_and_shown_again(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook([SAVED])
    notebook.run(0)
    root = notebook.output_area(0).locator(".rnb-race")
    expect(root.locator(".rnb-race-lane")).to_have_count(3)
    expect(root.locator("[data-place='1'] .rnb-lane-title")).to_have_text("Realtime")
    expect(root.get_by_text("no answer in 60 s").first).to_be_visible()
    expect(root.get_by_text("chain ÷ realtime, median of paired ratios")).to_be_visible()
    expect(root.get_by_role("button", name="Start")).to_have_count(0)
    again = root.get_by_role("button", name="Show again")
    again.click()
    expect(root.locator("[data-place='1'] .rnb-lane-time")).not_to_have_text(re.compile("^6"))
    expect(again).to_be_enabled(timeout=20_000)
    expect(root.locator("[data-place='1'] .rnb-lane-time")).to_have_text(re.compile("^6"))
    check_looks(notebook, root, "race-saved", READ)
