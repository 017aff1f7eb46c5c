"""How many people can talk to the embedded server at once: a curve, and where it breaks.

    python benchmarks/load.py [--sessions 1 10 50 100 200] [--seconds 15] [--detector scripted|silero]

Each step starts a server of its own as a process of its own (`realtime-nb serve --engine scripted`), and lets so many
users talk to it for some seconds from this process: a microphone that never stops in messages of 40 ms, a bundled
sentence, the answer listened to at the speed of speech, a pause. Turn detection is on, with a hold of 500 ms.

Detectors: "scripted" is what the scripted engine has, the level of each 32 ms against -45 dBFS; "silero" puts the
neural detector behind its energy gate in its place, as the offline engine has it. Recogniser, chat model and voice are
scripted in both, and cost next to nothing: what is measured is the server.

The latency is that from the true end of speech to the first audio message at the client, by the schedule of the user's
frames; what the load generator adds by its own lag is shown beside it. "Waited" is the share of the time that the
server was ready to run and had no processor: with other work on the machine the latencies say little. "Added" is the
99th percentile less the median of one session alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path

import psutil

from realtime_nb.audio import bundled
from realtime_nb.session.endpoint import choose_endpoint
from realtime_nb.testing.load import Load, LoadReport, run_load

CLIP = "what_can_you_do"
TARGET_SESSIONS, TARGET_ADDED_MS, TARGET_MB = 100, 50, 2.0


async def serve(detector: str) -> None:
    """Be the server: scripted engines, with another detector."""
    from realtime_nb.engines import scripted, vad
    from realtime_nb.server.app import EmbeddedServer

    engines = scripted.create()
    if detector == "silero":
        engines.vad = lambda: vad.create("silero")
    server = await EmbeddedServer.start(engines, allow_any_key=True)
    print(f"listening on {server.url}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.aclose()


async def step(sessions: int, seconds: float, detector: str) -> LoadReport:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--serve", detector),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip().removeprefix("listening on ")
        endpoint = choose_endpoint(url=url, api_key="any", environ={})
        return await run_load(
            Load(endpoint=endpoint, sessions=sessions, seconds=seconds, clip=bundled.clip(CLIP), seed=sessions)
        )
    finally:
        process.stdin.close()
        await process.wait()


def added_ms(report: LoadReport, alone: LoadReport) -> float | None:
    if report.end_to_audio.p99 is None or alone.end_to_audio.p50 is None:
        return None
    return report.end_to_audio.p99 - alone.end_to_audio.p50


def mb_per_session(report: LoadReport) -> float:
    memory = report.memory
    return (memory.peak_mb - memory.before_mb) / max(1, report.connected) if memory is not None else float("nan")


HEADER = (
    f"{'sessions':>8} {'turns':>6} {'lost':>5} {'p50':>7} {'p95':>7} {'p99':>7} {'added':>7} {'n':>5} "
    f"{'server':>7} {'waited':>7} {'MB/session':>10} {'client':>7} {'slip p99':>9} {'errors'}"
)


def row(report: LoadReport, alone: LoadReport) -> str:
    latency = report.end_to_audio
    values = (latency.p50, latency.p95, latency.p99, added_ms(report, alone))
    shown = " ".join(f"{'-':>7}" if value is None else f"{value:>7.0f}" for value in values)
    memory = report.memory
    cores, waited = (memory.cpu_cores, memory.waited_cores) if memory is not None else (float("nan"), float("nan"))
    errors = ", ".join(f"{name} × {count}" for name, count in report.errors.items()) or "none"
    lost = report.turns - report.answered
    return (
        f"{report.connected:>8} {report.turns:>6} {lost:>5} {shown} {latency.n:>5} {cores:>7.2f} "
        f"{waited:>7.2f} {mb_per_session(report):>10.2f} {report.client_cpu_cores:>7.2f} "
        f"{report.pacing_slip.p99 or 0:>9.1f} {errors}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 10, 50, 100, 200])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--detector", choices=("scripted", "silero"), default="scripted")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--serve", choices=("scripted", "silero"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    load = ", ".join(f"{value:.1f}" for value in psutil.getloadavg())
    print(f"CPython {platform.python_version()} · {platform.machine()} · {os.cpu_count()} CPUs · load before {load}")
    print(f"detector: {options.detector} · clip {CLIP!r} · {options.seconds:g} s a step · client on the same machine")
    print(f"milliseconds from the true end of speech to the first audio message; cores of server and client\n{HEADER}")
    reports: list[LoadReport] = []
    for sessions in options.sessions:
        reports.append(asyncio.run(step(sessions, options.seconds, options.detector)))
        print(row(reports[-1], reports[0]), flush=True)
    for report in reports:
        if report.sessions == TARGET_SESSIONS and reports[0].sessions == 1:
            judge(report, reports[0])
    if options.json:
        Path(options.json).write_text(json.dumps([report.as_json() for report in reports], indent=2) + "\n")


def judge(report: LoadReport, alone: LoadReport) -> None:
    added, size = added_ms(report, alone), mb_per_session(report)
    lost = report.turns - report.answered + sum(report.errors.values()) + report.missing_audio_ms
    print(f"target at {report.sessions}: nothing lost: {'met' if not lost else f'MISSED ({lost:g})'}")
    met = added is not None and added <= TARGET_ADDED_MS
    print(f"target: added p99 ≤ {TARGET_ADDED_MS} ms: {added} {'met' if met else 'MISSED'}")
    print(f"target: ≤ {TARGET_MB:g} MB a session: {size:.2f} {'met' if size <= TARGET_MB else 'MISSED'}")


if __name__ == "__main__":
    main()
