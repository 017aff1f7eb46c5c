"""Many speaking users at once against one server, from one process."""

from __future__ import annotations

import asyncio
import random
import time
from urllib.parse import urlsplit

import msgspec

from realtime_nb.audio import AudioClip
from realtime_nb.errors import ConfigurationError, RealtimeError, RemoteProtocolError
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.testing.load.figures import Distribution, LoadReport
from realtime_nb.testing.load.server_process import ServerProcess
from realtime_nb.testing.load.user import Tally, User, Voice
from realtime_nb.transport.websocket import open_websocket

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPENING_AT_ONCE = 20
OPENING_PATIENCE_S = 10.0
"""For the first event of a session."""
LOOK_EVERY_S = 0.5
LAG_EVERY_S = 0.01


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A load to put on a server.

    Attributes:
        endpoint: the server.
        sessions: how many users.
        seconds: how long they talk.
        clip: what they say, at 24 kHz, with its true end of speech.
        frame_ms: audio in one append.
        hold_ms: `silence_duration_ms` of their sessions.
        seed: of starts and pauses.
        start_within_s: the users' first words fall into so many seconds; None for a third of the time, 4 s at most.
    """

    endpoint: Endpoint
    sessions: int
    seconds: float
    clip: AudioClip
    frame_ms: int = 40
    hold_ms: int = 500
    seed: int = 0
    start_within_s: float | None = None


def check_target(base_url: str, *, allow_remote: bool) -> None:
    """Refuse servers of other people unless that is meant.

    Raises:
        ConfigurationError: the server is not on this machine.
    """
    if urlsplit(base_url).hostname not in LOOPBACK and not allow_remote:
        raise ConfigurationError(
            f"{base_url} is not on this machine: a load there costs somebody money.",
            what_now="Add --allow-remote if it is yours to load.",
        )


async def run_load(load: Load) -> LoadReport:
    """Put the load on and measure. Sessions that cannot be opened are counted, never raised."""
    loop = asyncio.get_running_loop()
    voice, tally = Voice.of(load.clip, load.frame_ms), Tally()
    server = await asyncio.to_thread(ServerProcess.find, load.endpoint.base_url)
    users = await _open_all(load, voice, tally)
    lags: list[float] = []
    watching = [asyncio.create_task(_measure_lag(lags)), asyncio.create_task(_look(server))]
    cpu_began, began = time.process_time(), loop.time()
    starts = random.Random(load.seed)
    until = began + load.seconds
    spread_s = min(load.seconds / 3, 4.0) if load.start_within_s is None else load.start_within_s
    try:
        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(user.talk(until, began + starts.uniform(0, spread_s)))
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    took_s = loop.time() - began
    cpu_s = time.process_time() - cpu_began
    memory = await asyncio.to_thread(server.report, took_s) if server is not None else None
    return LoadReport(
        url=load.endpoint.base_url,
        sessions=load.sessions,
        connected=len(users),
        duration_s=took_s,
        frame_ms=load.frame_ms,
        hold_ms=load.hold_ms,
        connect=Distribution.of(tally.connect),
        stop_to_audio=Distribution.of(tally.stop_to_audio),
        end_to_audio=Distribution.of(tally.end_to_audio),
        turn=Distribution.of(tally.turn),
        mark_error=Distribution.of(tally.mark_error),
        late_by=Distribution.of(tally.late_by),
        pacing_slip=Distribution.of(tally.pacing_slip),
        loop_lag=Distribution.of(lags),
        turns=tally.turns,
        answered=tally.answered,
        deltas=tally.deltas,
        late_deltas=len(tally.late_by),
        missing_audio_ms=tally.missing_audio_ms,
        frames_sent=tally.frames_sent,
        errors=dict(tally.errors),
        client_cpu_cores=round(cpu_s / took_s, 3),
        memory=memory,
    )


async def _open_all(load: Load, voice: Voice, tally: Tally) -> list[User]:
    turnstile = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one(index: int) -> User | None:
        async with turnstile:
            user = User(voice, tally, hold_ms=load.hold_ms, seed=load.seed + index)
            began = asyncio.get_running_loop().time()
            try:
                transport = await open_websocket(load.endpoint.websocket_url, headers=load.endpoint.headers)
                try:
                    async with asyncio.timeout(OPENING_PATIENCE_S):
                        await user.open(transport, began)
                except BaseException:
                    await transport.aclose()
                    raise
            except (RealtimeError, TimeoutError, msgspec.DecodeError) as problem:
                code = problem.code if isinstance(problem, RemoteProtocolError) else None
                tally.errors[f"not opened: {code or type(problem).__name__}"] += 1
                return None
            return user

    users = await asyncio.gather(*(open_one(index) for index in range(load.sessions)))
    return [user for user in users if user is not None]


async def _measure_lag(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        await asyncio.sleep(LAG_EVERY_S)
        lags.append((loop.time() - began - LAG_EVERY_S) * 1000)


async def _look(server: ServerProcess | None) -> None:
    while server is not None:
        await asyncio.to_thread(server.look)
        await asyncio.sleep(LOOK_EVERY_S)
