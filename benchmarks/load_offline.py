"""How many people can talk at once to the offline engines: recogniser, brain and voices, all real.

    python benchmarks/load_offline.py [--sessions 1 2 5 10] [--seconds 30] [--json FILE]

Each step starts a server of its own as a process of its own and lets so many users begin to speak in the same instant,
from this process: a microphone that never stops in messages of 40 ms, a bundled sentence, the answer listened to at the
speed of speech, a pause of 0.3 to 1.2 s, and again. Turn detection is on, with a hold of 500 ms, which is in every
latency. The default takes about two and a half minutes.

Latencies are from the true end of speech, by the schedule of the user's frames: "audio" to the first audio message,
"turn" to the end of the response. "Late" counts audio messages that came after a player without a buffer needed them,
by how much at most beside it. Memory is that of the server and its engines' processes. "Waited" is the share of the
time that the server's main thread was ready and had no processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path

import msgspec
import psutil

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.session.endpoint import choose_endpoint
from realtime_nb.testing.load import Load, LoadReport, run_load
from realtime_nb.testing.load.figures import Distribution

SETTLE_S = 1.0
HEADER = (
    f"{'':>8} {'':>5} {'':>4} {'first audio, ms':^23} {'whole turn, ms':^23} {'late':^13} {'miss':>5} "
    f"{'MB':^11} {'cores':^13} {'slip':>5}\n"
    f"{'sessions':>8} {'turns':>5} {'lost':>4} {'p50':>7} {'p95':>7} {'p99':>7} {'p50':>7} {'p95':>7} {'p99':>7} "
    f"{'n':>6} {'max':>6} {'ms':>5} {'idle':>5} {'peak':>5} {'used':>6} {'waited':>6} {'p99':>5} errors"
)


async def serve() -> None:
    """Be the server."""
    from realtime_nb.engines import registry
    from realtime_nb.server.app import EmbeddedServer

    engines = registry.create("offline")
    server = await EmbeddedServer.start(engines, allow_any_key=True)
    print(f"{engines.vad().capabilities.name} · {engines.label}", flush=True)
    print(server.url, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.aclose()


async def step(sessions: int, seconds: float, clip: AudioClip) -> tuple[str, LoadReport]:
    """Return what the engines are and what was measured."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        label = (await process.stdout.readline()).decode().strip()
        url = (await process.stdout.readline()).decode().strip()
        await asyncio.sleep(SETTLE_S)
        endpoint = choose_endpoint(url=url, api_key="any", environ={})
        load = Load(endpoint=endpoint, sessions=sessions, seconds=seconds, clip=clip, seed=sessions, start_within_s=0.0)
        return label, await run_load(load)
    finally:
        process.stdin.close()
        await process.wait()


def row(report: LoadReport) -> str:
    """Return the step's line of the table."""
    memory = report.memory
    held = (memory.before_mb, memory.peak_mb, memory.cpu_cores, memory.waited_cores) if memory else (float("nan"),) * 4
    errors = ", ".join(f"{name} × {count}" for name, count in report.errors.items()) or "none"
    return (
        f"{report.connected:>8} {report.turns:>5} {report.turns - report.answered:>4} {_cells(report.end_to_audio)} "
        f"{_cells(report.turn)} {report.late_deltas:>6} {report.late_by.max or 0:>6.0f} "
        f"{report.missing_audio_ms:>5.0f} {held[0]:>5.0f} {held[1]:>5.0f} {held[2]:>6.2f} {held[3]:>6.2f} "
        f"{report.pacing_slip.p99 or 0:>5.0f} {errors}"
    )


def _cells(latency: Distribution) -> str:
    values = (latency.p50, latency.p95, latency.p99)
    return " ".join(f"{'-':>7}" if value is None else f"{value:>7.0f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 5, 10])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--clip", default="order_status", choices=list(bundled.clips()), help="what everybody says")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    machine = f"CPython {platform.python_version()} · {platform.machine()} · {os.cpu_count()} CPUs"
    load = ", ".join(f"{value:.1f}" for value in psutil.getloadavg())
    print(f"{machine} · load before {load} · {time.strftime('%Y-%m-%d')} · client on the same machine")
    steps: list[tuple[str, LoadReport]] = []
    for sessions in options.sessions:
        steps.append(asyncio.run(step(sessions, options.seconds, bundled.clip(options.clip))))
        if len(steps) == 1:
            print(f"{steps[0][0]} · clip {options.clip!r} · {options.seconds:g} s a step · hold 500 ms\n{HEADER}")
        print(row(steps[-1][1]), flush=True)
    if options.json:
        figures = [{"engines": label, **report.as_json()} for label, report in steps]
        head = {"machine": machine, "date": time.strftime("%Y-%m-%d"), "clip": options.clip, "steps": figures}
        text = msgspec.json.format(json.dumps(head, ensure_ascii=False), indent=2)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
