"""Socket → PCM array, per audio delta: our session, raw `websockets` + orjson + b64decode, and the official SDK.

One server in a child process sends the same frames to the three, in turns, in one run. CPU time of this process.

    python benchmarks/audio_delta.py [--deltas 2000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import numpy as np
import orjson
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session

DELTA_BYTES = 4800


def frames(n: int) -> list[str]:
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "m"}
    common = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    response = {"id": "resp_1", "object": "realtime.response", "status": "in_progress", "conversation_id": "conv_1"}
    item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    audio = base64.b64encode(os.urandom(DELTA_BYTES)).decode()
    first = [
        {"type": "session.created", "event_id": "event_0", "session": session},
        {"type": "response.created", "event_id": "event_1", "response": response},
        {"type": "response.output_item.added", "event_id": "event_2", **common, "item": item},
    ]
    deltas = [
        {"type": "response.output_audio.delta", "event_id": f"event_{k:021d}", **common, "delta": audio}
        for k in range(n)
    ]
    done = {"type": "response.done", "event_id": "e", "response": {**response, "status": "completed", "output": []}}
    return [json.dumps(event) for event in [*first, *deltas, done]]


async def serve_frames(n: int) -> None:
    script = frames(n)

    async def send(connection: ServerConnection) -> None:
        for frame in script:
            await connection.send(frame)
        await connection.wait_closed()

    async with serve(send, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def raw(port: int, n: int) -> int:
    samples = 0
    async with connect(f"ws://127.0.0.1:{port}/v1/realtime", compression=None, max_size=None) as socket:
        while True:
            event = orjson.loads(await socket.recv())
            if event["type"] == "response.output_audio.delta":
                samples += len(np.frombuffer(base64.b64decode(event["delta"]), dtype="<i2"))
            elif event["type"] == "response.done":
                return samples


async def ours(port: int, n: int) -> int:
    endpoint = Endpoint(choice="url", base_url=f"http://127.0.0.1:{port}/v1", model="m")
    session = await open_session(endpoint, settings={})
    turn = await anext(session.turns()) if not session.history else session.history[0]
    samples = len(turn.audio.samples)
    await session.aclose()
    return samples


async def sdk(port: int, n: int) -> int:
    from openai import AsyncOpenAI

    samples = 0
    client = AsyncOpenAI(api_key="x", base_url=f"http://127.0.0.1:{port}/v1")
    async with client.realtime.connect(model="m") as connection:
        async for event in connection:
            if event.type == "response.output_audio.delta":
                samples += len(np.frombuffer(base64.b64decode(event.delta), dtype="<i2"))
            elif event.type == "response.done":
                break
    return samples


async def timed(run: Callable[[int, int], Awaitable[int]], port: int, n: int) -> float:
    began_s = time.process_time()
    samples = await run(port, n)
    assert samples == n * DELTA_BYTES // 2, samples
    return (time.process_time() - began_s) / n * 1e6


async def measure(port: int, n: int, rounds: int) -> None:
    runs = {"raw websockets + orjson + b64decode": raw, "realtime_nb session": ours, "openai SDK recv()": sdk}
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            figure = await timed(run, port, n)
            if number:
                figures[name].append(figure)
    base = figures["raw websockets + orjson + b64decode"]
    print(f"CPU µs per audio delta of {DELTA_BYTES} bytes; n = {rounds} rounds × {n} deltas; {platform.platform()},")
    print(f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}. Ratios are paired by round.\n")
    print(f"{'path':<38}{'min':>8}{'median':>8}{'max':>8}{'× raw, median (min–max)':>28}")
    for name, values in figures.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"{name:<38}{min(values):>8.1f}{statistics.median(values):>8.1f}{max(values):>8.1f}{spread:>28}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deltas", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_frames(options.deltas))
        return
    command = [sys.executable, __file__, "--serve", "--deltas", str(options.deltas)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        asyncio.run(measure(int(server.stdout.readline()), options.deltas, options.rounds))
        server.communicate()


if __name__ == "__main__":
    main()
