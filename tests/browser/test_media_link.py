"""The media link in a real JupyterLab with a fake session: what a view that is cut off, goes or ends leaves behind."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import ROOT, NotebookPage

WAYS = ("direct", "proxy", "comm")
STUDIO = f"""
import asyncio, sys, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from realtime_nb.runtime import runtime
from realtime_nb.widgets.studio import Studio
from tests.widgets.fake_session import FakeSession

async def make():
    return FakeSession(asyncio.get_running_loop())

session = runtime().run(make(), 10)
studio = Studio(session)
studio
"""
HELPERS = """
KEY = ("item_1", 0)
TONE = (np.sin(np.arange(24_000) / 10) * 8000).astype(np.int16).tobytes()

async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)

async def answer(seconds):
    await until(lambda: session.player is not None)
    session.player.begin(*KEY)
    for _ in range(seconds):
        session.player.write(*KEY, TONE)
    session.player.end(*KEY)

def heard():
    return session.playback.counts.get(KEY, 0)

def clients():
    return list(studio._desk.link.clients.values())

await until(clients)
print(clients()[0].transport)
"""
CLOSE_WAYS = """(() => {
    const closed = %s;
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
        constructor(url, protocols) {
            const proxy = /\\/proxy\\/\\d+\\//.test(url) && "proxy";
            const way = proxy || (/^ws:\\/\\/127\\.0\\.0\\.1:\\d+\\/$/.test(url) && "direct");
            super(closed.includes(way) ? "ws://127.0.0.1:9/" : url, protocols);
        }
    };
})()"""


def open_studio(open_notebook: OpenNotebook, *cells: str, way: str = "direct") -> NotebookPage:
    """Open a notebook with a Studio on a fake session, its page left with no better way than `way`."""
    notebook = open_notebook(["1", STUDIO, HELPERS, *cells])
    notebook.evaluate(CLOSE_WAYS % json.dumps(WAYS[: WAYS.index(way)]))
    notebook.run(1)
    notebook.page.get_by_role("button", name="Stop", exact=True).wait_for()
    notebook.wait_for("() => / link · /.test(document.querySelector('.rnb-studio')?.textContent ?? '')")
    notebook.run(2)
    assert notebook.output_text(2).strip() == way
    return notebook


INTERRUPT = """
await answer(20)
await until(lambda: heard() > 4_800)
await runtime().call(session.interrupt())
stopped_at = session.flushed[KEY]
await asyncio.sleep(0.5)
print(4_800 < stopped_at < 480_000, heard() == stopped_at)
"""


@pytest.mark.parametrize("way", ["proxy", "comm"])
def test_an_interruption_stops_the_sound_and_brings_its_count(open_notebook: OpenNotebook, way: str) -> None:
    notebook = open_studio(open_notebook, INTERRUPT, way=way)
    notebook.run(3)
    assert notebook.output_text(3).split() == ["True", "True"]


def test_the_open_microphone_reaches_the_session_until_its_view_goes(open_notebook: OpenNotebook) -> None:
    notebook = open_studio(
        open_notebook,
        "await until(lambda: len(session.microphone) > 48_000)\nprint(session.said)",
        "await until(lambda: not clients() and session.said[-1][0] == 'microphone_close')\nprint('gone')",
    )
    notebook.page.get_by_role("button", name="Open microphone").click()
    notebook.run(3)
    assert notebook.output_text(3).strip() == "[('microphone_open', None)]"
    notebook.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.clear()")
    notebook.run(4)
    assert notebook.output_text(4).strip() == "gone"


def test_the_view_is_measured_and_a_closed_studio_leaves_no_door(open_notebook: OpenNotebook) -> None:
    notebook = open_studio(
        open_notebook,
        "await until(lambda: clients()[0].round_trips.n >= 3)\nprint(clients()[0].measured().offset_error_ms > 0)",
        """
from realtime_nb.widgets.media_link import hub
async def port():
    return hub(runtime()).port
before = runtime().run(port(), 5)
studio.close()
print(before > 0, runtime().run(port(), 5), session.player)
""",
    )
    notebook.run(3)
    assert notebook.output_text(3).strip() == "True"
    notebook.run(4)
    assert notebook.output_text(4).strip() == "True 0 None"
