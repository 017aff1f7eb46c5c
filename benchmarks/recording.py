"""What recording costs while it runs, and how long it takes to open, rebuild and publish what was recorded.

    python benchmarks/recording.py [--seconds 20] [--minutes 60]

Costs are processor seconds of both threads divided by the seconds of the session: the same load is recorded and, for
comparison, only produced. Nothing here is a test: figures depend on the machine, which is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.replay.export_html import encoded
from realtime_nb.replay.reader import Recording
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.session.recorder import SessionRecorder
from realtime_nb.testing.recordings import make_recording

TICK_MS = 20
KEY = PlaybackKey("item_0", 0)
REPEATS = 3


class Load:
    """A session in which both sides talk all the time: 50 frames up, 10 deltas down, 17 reports a second."""

    def __init__(self) -> None:
        audio = "QUJD" * 320  # 20 ms
        self.append = f'{{"type":"input_audio_buffer.append","event_id":"event_0123456789","audio":"{audio}"}}'
        ids = '"event_id":"event_0123456789","response_id":"resp_0","item_id":"item_0","content_index":0'
        self.delta = f'{{"type":"response.output_audio.delta",{ids},"delta":"{audio * 5}"}}'
        self.text = f'{{"type":"response.output_audio_transcript.delta",{ids},"delta":" word"}}'
        self.frame, self.piece = bytes(960), bytes(4800)
        self.sequence = 0

    def tick(self, n: int, now_ms: float, recorder: SessionRecorder) -> None:
        recorder.on_user_audio(self.frame, now_ms)
        self._event(recorder, now_ms, "sent", "input_audio_buffer.append", self.append)
        if n % 5 == 0:
            recorder.on_assistant_audio(KEY, self.piece, now_ms, True)
            self._event(recorder, now_ms, "received", "response.output_audio.delta", self.delta)
            self._event(recorder, now_ms, "received", "response.output_audio_transcript.delta", self.text)
        if n % 3 == 0:
            at = RenderedAt(time_ms=now_ms, error_ms=1.0, output_latency_ms=20.0)
            recorder.on_rendered(KEY, (n + 1) * TICK_MS * 24, now_ms, at)

    def _event(self, recorder: SessionRecorder, now_ms: float, direction: str, event_type: str, frame: str) -> None:
        logged = LoggedEvent(self.sequence, now_ms, direction, event_type, frame)  # type: ignore[arg-type]
        self.sequence += 1
        recorder.on_event(logged)


class Nobody(SessionRecorder):
    """Takes everything and does nothing."""

    def __init__(self) -> None:
        pass

    def on_event(self, *_: object) -> None: ...
    def on_user_audio(self, *_: object) -> None: ...
    def on_assistant_audio(self, *_: object) -> None: ...
    def on_rendered(self, *_: object) -> None: ...


async def run(recorder: SessionRecorder, seconds: float) -> tuple[float, list[float]]:
    """Return processor seconds, and how long the loop was kept at each tick, in ms."""
    load, kept_ms = Load(), []
    loop = asyncio.get_running_loop()
    began_cpu_s, began_s = time.process_time(), loop.time()
    for n in range(int(seconds * 1000 / TICK_MS)):
        await asyncio.sleep(max(0.0, began_s + n * TICK_MS / 1000 - loop.time()))
        before_s = time.perf_counter()
        load.tick(n, (loop.time() - began_s) * 1000, recorder)
        kept_ms.append((time.perf_counter() - before_s) * 1000)
    return time.process_time() - began_cpu_s, kept_ms


def cost(seconds: float, folder: Path) -> None:
    for repeat in range(REPEATS):
        idle_s, _ = asyncio.run(run(Nobody(), seconds))
        manifest = manifest_for(endpoint="-", engine="-", model="-", version="-")
        writer = RecordingWriter(folder / f"cost{repeat}", manifest)
        busy_s, kept_ms = asyncio.run(run(SessionRecorder(writer), seconds))
        writer.close()
        ordered = sorted(kept_ms)
        p50_us = statistics.median(kept_ms) * 1000
        p99_us = ordered[int(len(ordered) * 0.99)] * 1000
        print(
            f"recording a session {100 * (busy_s - idle_s) / seconds:5.2f} % of one core "
            f"(the load alone {100 * idle_s / seconds:.2f} %); the loop is kept p50 {p50_us:.0f}, p99 {p99_us:.0f} µs, "
            f"at most {ordered[-1]:.1f} ms; dropped {writer.dropped}"
        )


def timed(what: str, work: Callable[[], object]) -> None:
    times = []
    for _ in range(REPEATS):
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - began_s, time.process_time() - began_cpu_s))
    walls, cpus = zip(*times, strict=True)
    spread = f"{min(walls):.2f}–{max(walls):.2f} s"
    cpu = f"processor {statistics.median(cpus):.2f} s"
    print(f"{what:<32} {statistics.median(walls):6.2f} s ({spread}; {cpu}; n={REPEATS})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--minutes", type=float, default=60.0)
    chosen = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}, load {load:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cost(chosen.seconds, folder)
        long = make_recording(folder / "long", turns=max(1, round(chosen.minutes * 5)))
        size = sum(file.stat().st_size for file in long.iterdir()) / 1e6
        print(f"a simulated recording of {chosen.minutes:g} min: {size:.0f} MB")
        timed("open", lambda: len(Recording.open(long).event_file))
        timed("open and rebuild all turns", lambda: Recording.open(long).turns())
        timed("… with every timeline", lambda: [turn.timeline for turn in Recording.open(long).turns()])
        (long / "index.bin").unlink()
        timed("open without its index", lambda: len(Recording.open(long).event_file))
        short = make_recording(folder / "short", turns=50)
        timed("to_html of 10 min", lambda: Recording.open(short).to_html(folder / "page.html"))
        timed("… of it the sound", lambda: encoded(Recording.open(short).stereo()))
        print(f"the page: {(folder / 'page.html').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
