"""Round trip kernel → browser → kernel in a real JupyterLab: direct, through jupyter-server-proxy, and by comm.

::

    python -m benchmarks.media_link [--kernel python3] [--seconds 6]

Each way is measured idle and while a cell sleeps, loops in pure Python, and computes in numpy, at 20 pings a second.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.lab import KERNEL_7, Lab, NotebookPage, launch_chromium

WAYS = ("direct", "proxy", "comm")
PINGS_PER_S = 20
WIDGET = """
import asyncio, json, time
import numpy as np
import realtime_nb
player = realtime_nb.Player(realtime_nb.AudioClip.silence(100))
player
"""
KEEP = f"""
client = next(iter(player._desk.link.clients.values()))
samples, pong = [], client.round_trips.pong
def keep(*arguments):
    round_trip_ms = pong(*arguments)
    if round_trip_ms is not None:
        samples.append(round_trip_ms)
    return round_trip_ms
client.round_trips.pong = keep
client._ping_interval_s = {1 / PINGS_PER_S}
await asyncio.sleep(1.5)
samples.clear()
matrix = np.random.rand(400, 400)
print(client.transport)
"""
WORK = {
    "idle": "await asyncio.sleep({s})",
    "time.sleep": "time.sleep({s})",
    "pure Python": "end = time.monotonic() + {s}\nwhile time.monotonic() < end:\n    sum(range(1_000))",
    "numpy": "end = time.monotonic() + {s}\nwhile time.monotonic() < end:\n    np.sort(matrix @ matrix)",
}
REPORT = "\nawait asyncio.sleep(0.2)\nprint(json.dumps(samples)); samples.clear()"
WITHOUT = """(() => {
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
READY = """() => Array.from(document.querySelectorAll('.rnb button')).some(
    (button) => /Play/.test(button.textContent) && !button.disabled)"""


def percentile(samples: list[float], fraction: float) -> float:
    """Return the sample at a fraction, by nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def measure(lab: Lab, browser: Browser, way: str, kernel: str, seconds: float) -> dict[str, list[float]]:
    """Return the round trips in ms of one way, by what the cell does meanwhile."""
    cells = [WIDGET, KEEP, *(work.format(s=seconds) + REPORT for work in WORK.values())]
    lab.write_notebook(f"{way}.ipynb", cells, kernel=kernel)
    page = browser.new_page()
    page.add_init_script(WITHOUT % json.dumps(WAYS[: WAYS.index(way)]))
    notebook = NotebookPage.open(lab, page, f"{way}.ipynb")
    notebook.run(0)
    notebook.wait_for(READY)
    notebook.run(1)
    used = notebook.output_text(1).strip()
    if used != way:
        raise RuntimeError(f"the page took the {used} link, not {way}")
    measured = {}
    for number, work in enumerate(WORK, start=2):
        notebook.run(number, timeout_s=seconds + 60)
        measured[work] = json.loads(notebook.output_text(number))
    notebook.close()
    return measured


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Return the percentiles of every way and load, and how much slower comm is than direct, as text."""
    lines = [
        f"{'link':<8}{'the cell':<13}{'n':>5}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}{'p50 ÷ direct':>14}"
    ]
    for way, by_work in results.items():
        for work, samples in by_work.items():
            if not samples:
                lines.append(f"{way:<8}{work:<13}{0:>5}   nothing came back while the cell ran")
                continue
            figures = "".join(f"{percentile(samples, q):>9.1f}" for q in (0.5, 0.95, 0.99, 1.0))
            direct = results.get("direct", {}).get(work)
            ratio = f"{percentile(samples, 0.5) / percentile(direct, 0.5):>14.1f}" if direct else ""
            lines.append(f"{way:<8}{work:<13}{len(samples):>5}{figures}{ratio}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default=KERNEL_7)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as base, Lab.start(Path(base)) as lab, launch_chromium() as browser:
        for way in WAYS:
            results[way] = measure(lab, browser, way, options.kernel, options.seconds)
    print(f"media link, kernel → browser → kernel, {PINGS_PER_S} pings/s, kernel {options.kernel}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(table(results))


if __name__ == "__main__":
    main()
