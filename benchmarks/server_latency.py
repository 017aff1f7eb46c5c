"""How fast the embedded server answers with the offline engines, over the bundled clips, at the speed of speech.

    python benchmarks/server_latency.py [--turns 3] [--engine offline]

Every clip is streamed in 20 ms frames in real time, followed by silence, on a fresh session of one server, which runs
on the runtime thread as in a notebook. Times are taken at the client, on the main thread, by one clock: a sample counts
as spoken when its frame is due, and the end of speech is the one annotated in the clips' manifest.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import platform
import statistics
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import psutil
from websockets.asyncio.client import connect

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.engines.registry import create
from realtime_nb.runtime import runtime
from realtime_nb.server.app import EmbeddedServer

FRAME_SAMPLES = 480
SILENCE_MS = 1500


class Turn(msgspec.Struct, frozen=True):
    """One measured turn, milliseconds."""

    clip_id: str
    hold_ms: int
    end_to_stopped_ms: float
    stopped_to_audio_ms: float
    end_to_audio_ms: float
    mark_lag_ms: float
    transcript: str

    @property
    def detector_lag_ms(self) -> float:
        return self.end_to_stopped_ms - self.hold_ms


async def measure(url: str, token: str, clip_id: str, clip: AudioClip, hold_ms: int) -> Turn:
    headers = {"Authorization": f"Bearer {token}"}
    address = url.replace("http", "ws", 1) + "/realtime?model=benchmark"
    async with connect(address, additional_headers=headers, max_size=None, compression=None) as socket:
        detection = {"type": "server_vad", "silence_duration_ms": hold_ms}
        audio_input = {"turn_detection": detection, "transcription": {"model": "any"}}
        session = {"type": "realtime", "audio": {"input": audio_input}}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        listening = asyncio.create_task(listen(socket))
        began = await stream(socket, clip, listening)
        marks = await listening
    assert clip.speech_end_ms is not None
    end = began + clip.speech_end_ms / 1000
    return Turn(
        clip_id=clip_id,
        hold_ms=hold_ms,
        end_to_stopped_ms=(marks["stopped"] - end) * 1000,
        stopped_to_audio_ms=(marks["audio"] - marks["stopped"]) * 1000,
        end_to_audio_ms=(marks["audio"] - end) * 1000,
        mark_lag_ms=marks["audio_end_ms"] - hold_ms - clip.speech_end_ms,
        transcript=marks["transcript"],
    )


async def stream(socket: Any, clip: AudioClip, listening: asyncio.Task[Any]) -> float:
    """Speak the clip and silence until the reply is there; return when it began."""
    pcm16 = np.concatenate([clip.samples, np.zeros(SILENCE_MS * 24, np.int16)])
    pieces = [pcm16[start : start + FRAME_SAMPLES].tobytes() for start in range(0, len(pcm16), FRAME_SAMPLES)]
    frames = [
        json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}) for piece in pieces
    ]
    began = time.perf_counter()
    for count, frame in enumerate(frames, start=1):
        await asyncio.sleep(began + count * FRAME_SAMPLES / 24_000 - time.perf_counter())
        if listening.done():
            break
        await socket.send(frame)
    return began


async def listen(socket: Any) -> dict[str, Any]:
    marks: dict[str, Any] = {"transcript": ""}
    while True:
        event = json.loads(await socket.recv())
        match event["type"]:
            case "input_audio_buffer.speech_stopped":
                marks.setdefault("stopped", time.perf_counter())
                marks.setdefault("audio_end_ms", event["audio_end_ms"])
            case "conversation.item.input_audio_transcription.completed":
                marks["transcript"] = event["transcript"]
            case "response.output_audio.delta":
                marks.setdefault("audio", time.perf_counter())
            case "response.done":
                if "audio" not in marks:
                    raise SystemExit(f"no audio came: {event['response']['status_details']}")
                return marks
            case "error":
                raise SystemExit(event["error"])


def memory_mb() -> list[tuple[str, float]]:
    me = psutil.Process()
    processes = [("server and benchmark client", me), *(("worker", child) for child in me.children(recursive=True))]
    return [(name, process.memory_info().rss / 1e6) for name, process in processes]


def row(name: str, values: Sequence[float]) -> str:
    p95 = sorted(values)[max(0, round(0.95 * len(values)) - 1)]
    return f"{name:<44} {len(values):>4} {statistics.median(values):>9.1f} {p95:>9.1f} {max(values):>9.1f}"


def report(turns: Sequence[Turn], hold_ms: int) -> None:
    print(f"\n{'milliseconds':<44} {'n':>4} {'median':>9} {'p95':>9} {'max':>9}")
    print(row("true end of speech → speech_stopped", [turn.end_to_stopped_ms for turn in turns]))
    print(row(f"  of which beyond the hold of {hold_ms}", [turn.detector_lag_ms for turn in turns]))
    print(row("  of which the mark itself (audio time)", [turn.mark_lag_ms for turn in turns]))
    print(row("speech_stopped → first audio delta", [turn.stopped_to_audio_ms for turn in turns]))
    print(row("true end of speech → first audio delta", [turn.end_to_audio_ms for turn in turns]))
    stopped = statistics.median(turn.stopped_to_audio_ms for turn in turns)
    total = statistics.median(turn.end_to_audio_ms for turn in turns)
    print(
        f"target: speech_stopped → first audio delta ≤ 30 median: {stopped:.1f} {'met' if stopped <= 30 else 'MISSED'}"
    )
    limit = hold_ms + 130
    print(f"target: true end → first audio delta ≤ {limit} median: {total:.1f} {'met' if total <= limit else 'MISSED'}")


async def start(engine: str) -> EmbeddedServer:
    return await EmbeddedServer.start(create(engine))


async def talk(server: EmbeddedServer, options: argparse.Namespace) -> list[Turn]:
    turns = []
    for clip_id, clip in bundled.clips().items():
        if clip.speech_end_ms is None or (options.clips and clip_id not in options.clips):
            continue
        for _ in range(options.turns):
            turn = await measure(server.url, server.token, clip_id, clip, options.hold_ms)
            turns.append(turn)
            print(
                f"  {clip_id:<18} stopped +{turn.end_to_stopped_ms:6.1f}  audio +{turn.stopped_to_audio_ms:6.1f}"
                f"  mark lag {turn.mark_lag_ms:6.1f}  {turn.transcript!r}"
            )
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2, help="turns per clip")
    parser.add_argument("--engine", default="offline")
    parser.add_argument("--hold-ms", type=int, default=500)
    parser.add_argument("--clips", nargs="*", help="ids; all by default")
    options = parser.parse_args()
    load = ", ".join(f"{value:.1f}" for value in psutil.getloadavg())
    print(f"CPython {platform.python_version()} · {platform.machine()} · {psutil.cpu_count()} CPUs · load {load}")
    began = time.perf_counter()
    server = runtime().run(start(options.engine))
    print(f"{server.engines.label} · ready in {time.perf_counter() - began:.1f} s")
    try:
        turns = asyncio.run(talk(server, options))
        report(turns, options.hold_ms)
        sizes = memory_mb()
        total = sum(size for _, size in sizes)
        shown = ", ".join(f"{name} {size:.0f}" for name, size in sizes)
        print(f"resident memory: {total:.0f} MB ({shown}); target ≤ 400 {'met' if total <= 400 else 'MISSED'}")
    finally:
        runtime().run(server.aclose())


if __name__ == "__main__":
    main()
