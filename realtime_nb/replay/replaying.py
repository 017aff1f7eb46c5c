"""A recording as a session: the same object that talked, with the same observers, turns and widgets, watched again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol.client_events import InputAudioBufferAppend
from realtime_nb.protocol.codec import decode_client_event
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.format import Mark, RecordedEvent
from realtime_nb.runtime import runtime
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.event_log import LoggedEvent
from realtime_nb.session.opening import open_session
from realtime_nb.session.output_audio import WireAudioDecoder
from realtime_nb.session.owner import SessionOwner
from realtime_nb.session.session import Session
from realtime_nb.transport.memory import MemoryTransport, memory_pair

from .pace import Pace, Speed
from .reader import Recording
from .responder import Responder
from .script import Script

LINES_AT_ONCE = 200
BY_ITSELF = frozenset({"conversation.item.retrieve"})
"""Sent by the session's own protocol, in the replay too."""


class Replaying:
    """A session on its way out of a recording. `await` it, or use it with `async with`; both give the `Session`.

    Args:
        recording: what to replay.
        speed: 1.0 as recorded, another factor, "fast" or "step".
        watch: True plays both sides; False plays the server's side only, and the user is you.
    """

    def __init__(self, recording: Recording, *, speed: Speed = 1.0, watch: bool = True) -> None:
        self._recording = recording
        self._pace: Pace | None = None
        self._session: Session | None = None
        self._future: concurrent.futures.Future[Session] = runtime().submit(self._open(speed, watch))

    def step(self, n: int = 1) -> None:
        """Let `n` more events happen, when the speed is "step"."""
        if self._pace is not None:
            self._pace.step(n)

    def wait(self, timeout_s: float | None = 60.0) -> Session:
        """Block until the session is there and return it."""
        return self._future.result(timeout_s)

    def __await__(self) -> Generator[Any, None, Session]:
        return asyncio.wrap_future(self._future).__await__()

    async def __aenter__(self) -> Session:
        self._session = await self
        return self._session

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.aclose()

    async def _open(self, speed: Speed, watch: bool) -> Session:
        self._pace = pace = Pace(speed)
        if watch:
            return await watch_again(self._recording, pace)
        return await talk_again(self._recording, pace)


async def talk_again(recording: Recording, pace: Pace) -> Session:
    """Open a session with the recorded server on the running loop; what it says waits for what you do."""
    script = await asyncio.to_thread(Script, recording)
    ours, theirs = memory_pair()
    responder = Responder(script, pace, theirs.send)

    async def read() -> None:
        while True:
            responder.take(await theirs.receive())

    async def serve() -> None:
        reading = asyncio.create_task(read())
        try:
            with contextlib.suppress(RealtimeError):
                await responder.run()
                await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    return await _opened(recording, ours, serve())


async def watch_again(recording: Recording, pace: Pace) -> Session:
    """Open a session on the running loop in which both sides do again what they did; it closes at the end."""
    ours, theirs = memory_pair()
    conductor = _Conductor(recording, pace, theirs)
    session = await _opened(recording, ours, conductor.greet())
    session._owner.chore(conductor.run(session._owner))
    return session


async def _opened(recording: Recording, transport: MemoryTransport, server: Any) -> Session:
    async def open_transport() -> MemoryTransport:
        return transport

    task = asyncio.create_task(server, name="realtime_nb replayed server")
    try:
        session = await open_session(
            Endpoint(choice="url", base_url="http://replay/v1", model=recording.manifest.model),
            settings={},
            engine=f"replay of {recording.manifest.engine or recording.manifest.model}",
            open_transport=open_transport,
        )
    except BaseException:
        task.cancel()
        raise
    session.endpoint = f"the recording {recording.path.name}"
    session._owner.chore(_ends_with(task))
    return session


async def _ends_with(task: asyncio.Task[None]) -> None:
    """Belong to a session: end the task when it ends."""
    try:
        await asyncio.shield(task)
        await asyncio.Event().wait()
    finally:
        task.cancel()
        await asyncio.wait([task])


class _Conductor:
    """Does again, in the recorded order and time, what both sides did."""

    def __init__(self, recording: Recording, pace: Pace, server_end: MemoryTransport) -> None:
        self._recording = recording
        self._pace = pace
        self._server_end = server_end
        self._lines: Iterator[RecordedEvent] | None = None
        self._read: deque[RecordedEvent] = deque()
        self._decoder = WireAudioDecoder()
        self._first_ms = 0.0
        self._arrived = asyncio.Event()

    async def greet(self) -> None:
        """Say what the server said first, so that the session is open."""
        while (line := await self._next()) is not None:
            if line.direction == "received":
                self._first_ms = line.time_ns / 1e6
                await self._server_end.send(_frame(line))
                return

    async def run(self, owner: SessionOwner) -> None:
        """Do everything else, then close the session. Holds its owner only: a session that is dropped closes."""
        owner.observers.add(self)
        reading = asyncio.create_task(self._drain())
        began_s = self._pace.loop.time()
        marks = iter(await asyncio.to_thread(lambda: list(self._recording.marks())))
        mark = next(marks, None)
        try:
            while (line := await self._next()) is not None:
                while mark is not None and mark.time_ns <= line.time_ns:
                    self._mark(owner, mark)
                    mark = next(marks, None)
                await self._pace.until(began_s, line.time_ns / 1e6 - self._first_ms)
                await self._do(owner, line)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        owner.request_close()

    async def _next(self) -> RecordedEvent | None:
        if not self._read:
            self._read.extend(await asyncio.to_thread(self._more))
        return self._read.popleft() if self._read else None

    def _more(self) -> list[RecordedEvent]:
        """In a thread, for it reads the disk."""
        if self._lines is None:
            self._lines = self._recording.events()
        return list(itertools.islice(self._lines, LINES_AT_ONCE))

    def on_event(self, logged: LoggedEvent) -> None:
        """Note that what the server said has arrived."""
        if logged.direction == "received":
            self._arrived.set()

    async def _do(self, owner: SessionOwner, line: RecordedEvent) -> None:
        if line.direction == "sent":
            self._send(owner, line)
            return
        kind = (line.event or {}).get("type")
        if kind == "session.created":
            return
        self._arrived.clear()
        await self._server_end.send(_frame(line))
        await self._arrived.wait()

    def _send(self, owner: SessionOwner, line: RecordedEvent) -> None:
        """Send what the client sent; what the session would not send by hand is left to it."""
        kind = (line.event or {}).get("type")
        if kind in BY_ITSELF:
            return
        with contextlib.suppress(RealtimeError):
            event = decode_client_event(_frame(line))
            if isinstance(event, InputAudioBufferAppend):
                owner.hear(self._decoder.decode(event.audio, owner.protocol.config.audio.input.format))
            owner.send(event)

    def _mark(self, owner: SessionOwner, mark: Mark) -> None:
        if mark.name == "interrupted" and owner.output.player is None:
            key = PlaybackKey(str(mark.details.get("item_id", "")), int(mark.details.get("content_index", 0)))
            reason, heard_ms = mark.details.get("reason", "button"), int(mark.details.get("heard_ms", 0))
            owner.turns.interrupted(key, reason, heard_ms, owner.now_ms())

    async def _drain(self) -> None:
        """Take what the session sends: it was sent before, and was answered."""
        with contextlib.suppress(RealtimeError):
            while True:
                await self._server_end.receive()


def _frame(line: RecordedEvent) -> str:
    return (line.raw or "") if line.event is None else msgspec.json.encode(line.event).decode()
