"""Thirty minutes of talk with the embedded server in this process, faster than real time: is memory flat?

    python benchmarks/soak.py [--minutes 30] [--sessions 10] [--seconds N]

Each session talks its share of the minutes: spoken turns (clips sent fast, found by the server's detector), typed
turns, tool calls and interruptions, then closes; every frame is judged by `ServerInvariants`. Engines are scripted.
After each session the resident memory, tasks, threads, open files and live objects are sampled; the slope over the
second half says whether anything grows. Minutes are minutes of audio, both sides together.

Then one session of a third of that talks alone, sampled as it goes: what it keeps while it lasts (what was said can be
shown, retrieved and truncated) and gives back when it closes.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import platform
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from realtime_nb.audio import AudioClip
from realtime_nb.engines import scripted
from realtime_nb.engines.base import ToolCall
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.invariants import ServerInvariants

REPLY = "I found your order, and it is on its way to you. You will have it in your hands on Friday morning."
GATHER_S = 0.05


class Sample(NamedTuple):
    talk_min: float
    rss_mib: float
    tasks: int
    threads: int
    files: int
    objects: int


class Judge:
    """Gives a session's frames to the invariants, as the client saw them, and plays what it is told to play."""

    def __init__(self, session: Session) -> None:
        self.rules = ServerInvariants(lockstep=False)
        self.session = session
        self.written: dict[tuple[str, int], int] = {}
        self.quiet = asyncio.Event()
        for logged in session.events:
            self.on_event(logged)
        session.observe(self)
        session.attach_player(self)

    def on_event(self, logged: LoggedEvent) -> None:
        (self.rules.client_sent if logged.direction == "sent" else self.rules.server_sent)(logged.frame)
        if not self.rules.busy:
            self.quiet.set()

    def begin(self, item_id: str, content_index: int) -> None:
        self.written[item_id, content_index] = 0

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        self.written[item_id, content_index] += len(pcm16) // 2

    def end(self, item_id: str, content_index: int) -> None:
        pass

    def play_all(self) -> None:
        for key, samples in self.written.items():
            self.session.playback.rendered(key, samples)
        self.written.clear()

    async def flush(self) -> dict[tuple[str, int], int]:
        half = {key: samples // 2 for key, samples in self.written.items()}
        self.written.clear()
        return half


def clip(chance: random.Random) -> AudioClip:
    """Return six to twelve seconds of something like speech, and the silence that ends the turn."""
    duration_ms = chance.randrange(6000, 12_000)
    times = np.arange(24 * duration_ms) / 24_000
    voice = 8000 * np.sin(2 * np.pi * 220 * times) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))
    return AudioClip(np.concatenate([voice.astype(np.int16), np.zeros(24 * 900, np.int16)]))


async def talk(
    server: EmbeddedServer, minutes: float, chance: random.Random, heard: Callable[[float], None] = lambda minutes: None
) -> float:
    """Hold one session for so many minutes of audio, saying after each turn how many, and return how many it had."""
    endpoint = Endpoint(choice="url", base_url=server.url, api_key=server.token, model="scripted")
    session = await open_session(endpoint, settings=session_settings())
    judge = Judge(session)

    @session.tool
    async def look_up(number: int) -> str:
        """Look an order up.

        Args:
            number: the order's.
        """
        return f"order {number} is on its way"

    heard_ms = 0.0
    turn_number = 0
    try:
        while heard_ms < minutes * 60_000:
            turn_number += 1
            what: Any = "please look up my order" if turn_number % 5 == 0 else clip(chance)
            turn = await session.ask(what, pace="fast")
            heard_ms += turn.audio.duration_ms + (turn.user_audio.duration_ms if turn.user_audio else 0)
            heard(heard_ms / 60_000)
            if turn_number % 3:
                judge.play_all()  # every third answer is interrupted by the next question
        await session.interrupt()
        while judge.rules.busy:
            judge.quiet.clear()
            await judge.quiet.wait()
        judge.rules.ended()
    finally:
        await session.aclose()
    return heard_ms / 60_000


def sample(talk_min: float) -> Sample:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    rss_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    tasks = len(asyncio.all_tasks())
    return Sample(talk_min, rss_kib / 1024, tasks, threading.active_count(), files, len(gc.get_objects()))


async def soak(
    minutes: float, sessions: int, *, seconds: float | None = None, say: Any = lambda line: None
) -> list[Sample]:
    """Talk, sampling after every session. `seconds` bounds the wall time."""
    call = ToolCall(name="look_up", arguments='{"number": 7}')
    replies: list[tuple[str, Any]] = [("look up", call), ("on its way", "It is on its way."), ("", REPLY)]
    server = await EmbeddedServer.start(scripted.create(texts=["where is my order"], replies=replies))
    chance, started_s, talked = random.Random(1), time.perf_counter(), 0.0
    samples: list[Sample] = []
    try:
        for _ in range(sessions):
            talked += await talk(server, minutes / sessions, chance)
            await asyncio.sleep(GATHER_S)
            samples.append(sample(talked))
            say("".join(f"{value:>12,.1f}" if isinstance(value, float) else f"{value:>12,}" for value in samples[-1]))
            if seconds is not None and time.perf_counter() - started_s > seconds:
                break
    finally:
        await server.aclose()
    return samples


def give_back() -> None:
    """Let glibc return free memory to the system, so that what is still held can be told from what is not."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


async def one_session(minutes: float) -> tuple[list[Sample], Sample]:
    """Talk in one session; return samples about every minute, and one after its end."""
    server = await EmbeddedServer.start(scripted.create(texts=["where is my order"], replies=[("", REPLY)]))
    give_back()
    samples: list[Sample] = [sample(0.0)]

    def heard(talked: float) -> None:
        if talked - samples[-1].talk_min >= 1:
            samples.append(sample(talked))

    try:
        talked = await talk(server, minutes, random.Random(2), heard)
        await asyncio.sleep(GATHER_S)
        give_back()
        return samples, sample(talked)
    finally:
        await server.aclose()


def slope(samples: list[Sample], name: str) -> float:
    """Return the growth per minute of talk over the second half, by least squares."""
    half = samples[len(samples) // 2 :]
    minutes = [one.talk_min for one in half]
    return float(np.polyfit(minutes, [getattr(one, name) for one in half], 1)[0]) if len(half) > 1 else 0.0


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--sessions", type=int, default=10)
    arguments.add_argument("--seconds", type=float, default=None)
    given = arguments.parse_args()
    started_s = time.perf_counter()
    print(f"{given.minutes:g} minutes of talk in {given.sessions} sessions, process {os.getpid()}")
    print("".join(f"{name:>12}" for name in ("minutes", "RSS MiB", "tasks", "threads", "files", "objects")))
    samples = asyncio.run(soak(given.minutes, given.sessions, seconds=given.seconds, say=print))
    wall_s = time.perf_counter() - started_s
    print(f"\n{samples[-1].talk_min:.1f} minutes of talk in {wall_s:.0f} s ({samples[-1].talk_min * 60 / wall_s:.0f}x)")
    for name in Sample._fields[1:]:
        print(f"growth of {name} over the second half: {slope(samples, name):+.3f} per minute of talk")
    alone, after = asyncio.run(one_session(given.minutes / 3))
    before, end = alone[0], alone[-1]
    print(
        f"\none session of {after.talk_min:.1f} minutes: {slope(alone, 'rss_mib'):+.2f} MiB kept per minute while it "
        f"lasts; {before.rss_mib:.0f} MiB before, {end.rss_mib:.0f} at its end, {after.rss_mib:.0f} when closed; "
        f"tasks {slope(alone, 'tasks'):+.3f} per minute"
    )


if __name__ == "__main__":
    main()
