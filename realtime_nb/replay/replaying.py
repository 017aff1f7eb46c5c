"""A recording as a session: the same object that talked, with the same observers, turns and widgets, watched again."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator
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
from realtime_nb.session.reconnect import RETRYABLE_CLOSE_CODES, Reconnect
from realtime_nb.session.session import Session
from realtime_nb.transport.memory import MemoryTransport, memory_pair

from .connections import BROKE, GREETING, greeting
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
    """Open a session with the recorded server on the running loop; what it says waits for what you do.

    Where the recorded connection broke, this one breaks too; the session connects again and goes on.

    Raises:
        ConfigurationError: the recording holds nothing that a server said.
    """
    script = await asyncio.to_thread(Script, recording)
    line = _Line()

    async def serve() -> None:
        ids: dict[str, str] = {}
        for number in range(len(script.connections)):
            server_end = await line.connect()
            responder = Responder(script, pace, server_end.send, number=number, ids=ids)
            reading = asyncio.create_task(_told(server_end, responder.take))
            try:
                broke = await responder.run()
                if broke is None:
                    await reading
                else:
                    server_end.cut(broke.code, broke.reason)
            except RealtimeError:
                return
            finally:
                reading.cancel()
                await asyncio.wait([reading])

    return await _opened(recording, line, serve(), Reconnect())


async def watch_again(recording: Recording, pace: Pace) -> Session:
    """Open a session on the running loop in which both sides do again what they did; it closes at the end.

    Where the recorded connection broke, this one breaks too, and comes back with what was rebuilt then.

    Raises:
        ConfigurationError: the recording holds nothing that a server said.
    """
    line = _Line()
    conductor = _Conductor(recording, pace, line)
    await conductor.begin()
    session = await _opened(recording, line, conductor.greet(), Reconnect(attempts=1, first_delay_s=0.0))
    session._owner.chore(conductor.run(session._owner))
    return session


class _Line:
    """Between a session and the recorded server: connections, one after the other, when the server is there."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[MemoryTransport] = asyncio.Queue(1)

    async def open(self) -> MemoryTransport:
        """Wait for the server, and return the session's end."""
        return await self._waiting.get()

    async def connect(self) -> MemoryTransport:
        """Return the server's end of a fresh connection."""
        ours, theirs = memory_pair()
        await self._waiting.put(ours)
        return theirs


async def _told(server_end: MemoryTransport, take: Callable[[str | bytes], None]) -> None:
    """Take what the session sends until the connection ends."""
    with contextlib.suppress(RealtimeError):
        while True:
            take(await server_end.receive())


async def _opened(recording: Recording, line: _Line, server: Any, reconnect: Reconnect) -> Session:
    task = asyncio.create_task(server, name="realtime_nb replayed server")
    try:
        session = await open_session(
            Endpoint(choice="url", base_url="http://replay/v1", model=recording.manifest.model),
            settings={},
            engine=f"replay of {recording.manifest.engine or recording.manifest.model}",
            open_transport=line.open,
            reconnect=reconnect,
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

    def __init__(self, recording: Recording, pace: Pace, line: _Line) -> None:
        self._recording = recording
        self._pace = pace
        self._line = line
        self._lines: Iterator[RecordedEvent] | None = None
        self._read: deque[RecordedEvent] = deque()
        self._decoder = WireAudioDecoder()
        self._first_ms = 0.0
        self._arrived = asyncio.Event()

    async def begin(self) -> None:
        """Read what must be known before.

        Raises:
            ConfigurationError: the recording holds nothing that a server said.
        """
        (self._greeting, self._rest), self._connections, marks = await asyncio.to_thread(
            lambda: (greeting(self._recording), deque(self._recording.connections), list(self._recording.marks()))
        )
        self._first_ms = self._connections[0].began_ms
        self._marks = deque(sorted(marks, key=lambda mark: mark.time_ns))

    async def greet(self) -> None:
        """Say what the server said first, so that the session is open."""
        await self._connect(self._greeting)

    async def run(self, owner: SessionOwner) -> None:
        """Do everything else, then close the session. Holds its owner only: a session that is dropped closes."""
        owner.observers.add(self)
        self._began_s = self._pace.loop.time()
        try:
            while (line := await self._next()) is not None:
                await self._until(owner, line.time_ns / 1e6)
                await self._do(owner, line)
            await self._until(owner, float("inf"))
        finally:
            owner.request_close()
            self._draining.cancel()
            await asyncio.wait([self._draining])

    async def _connect(self, frame: str) -> None:
        self._server_end = await self._line.connect()
        self._draining = asyncio.create_task(_told(self._server_end, lambda sent: None))  # it was answered before
        await self._server_end.send(frame)

    async def _until(self, owner: SessionOwner, time_ms: float) -> None:
        """Wait for a line's moment; what happened before, beside the wire, happens on the way."""
        while self._marks and (at_ms := self._marks[0].time_ns / 1e6) <= time_ms:
            mark = self._marks.popleft()
            if mark.name in ("interrupted", "lost"):
                await self._pace.until(self._began_s, at_ms - self._first_ms, step=False)
            if mark.name == "lost":
                await self._break(owner)
            elif mark.name == "interrupted" and owner.output.player is None:
                self._interrupt(owner, mark)
        if time_ms < float("inf"):
            await self._pace.until(self._began_s, time_ms - self._first_ms)

    async def _break(self, owner: SessionOwner) -> None:
        """End the connection as it ended; no effect while there is none."""
        if owner.state == "reconnecting":
            return
        connection = self._connections[0]
        self._arrived.clear()
        self._server_end.cut(connection.code if connection.code in RETRYABLE_CLOSE_CODES else BROKE, connection.reason)
        await self._arrived.wait()

    async def _next(self) -> RecordedEvent | None:
        if not self._read:
            self._read.extend(await asyncio.to_thread(self._more))
        return self._read.popleft() if self._read else None

    def _more(self) -> list[RecordedEvent]:
        """In a thread, for it reads the disk."""
        if self._lines is None:
            file = self._recording.event_file
            self._lines = file.events(range(self._rest, len(file)))
        return list(itertools.islice(self._lines, LINES_AT_ONCE))

    def on_event(self, logged: LoggedEvent) -> None:
        """Note that what the server said has arrived."""
        if logged.direction == "received":
            self._arrived.set()

    def on_lost(self, error: RealtimeError) -> None:
        """Note that the end of the connection has arrived."""
        self._arrived.set()

    async def _do(self, owner: SessionOwner, line: RecordedEvent) -> None:
        if line.direction == "sent":
            self._send(owner, line)
            return
        if (line.event or {}).get("type") == GREETING:
            await self._come_back(owner, line)
            return
        self._arrived.clear()
        await self._server_end.send(_frame(line))
        await self._arrived.wait()

    async def _come_back(self, owner: SessionOwner, line: RecordedEvent) -> None:
        """Begin the next connection; what was sent to rebuild the conversation follows in the recording."""
        await self._break(owner)
        self._connections.popleft()
        if (restored := self._connections[0].restored) is not None:
            owner.rebuild = lambda: restored
        self._arrived.clear()
        await self._connect(_frame(line))
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

    @staticmethod
    def _interrupt(owner: SessionOwner, mark: Mark) -> None:
        key = PlaybackKey(str(mark.details.get("item_id", "")), int(mark.details.get("content_index", 0)))
        reason, heard_ms = mark.details.get("reason", "button"), int(mark.details.get("heard_ms", 0))
        owner.turns.interrupted(key, reason, heard_ms, owner.now_ms())


def _frame(line: RecordedEvent) -> str:
    return (line.raw or "") if line.event is None else msgspec.json.encode(line.event).decode()
