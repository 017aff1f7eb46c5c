"""Child processes for engines that compute or hold the GIL, and the parent's handle on them.

::

    worker = WorkerProcess("realtime_nb.engines.flite_worker:main", name="voice")
    await worker.start()                                  # spawned, loaded and warm
    total = await worker.request("add", {"a": 1, "b": 2})
    worker.notify("feed", {"stream": 7, "pcm16": b"…"})   # one way, never blocks
    async with aclosing(worker.stream("speak", {"text": "hello"})) as items:
        async for item in items: ...                      # closing it cancels the work in the child
    forget = worker.on_push(7, print)                     # what the child pushes to channel 7
    await worker.aclose()

`realtime_nb.engines.worker_main` documents the child's side. The child runs this interpreter with this process's
`sys.path`; nothing that it imports is imported here. It ends when this process ends, whatever the reason.

A worker belongs to the event loop that started it (any thread's). When the child dies, every pending call raises
`EngineCrashed`, quoting the end of its stderr; the next `start`, `request` or `stream` spawns a new one. A child that
sends nothing for a minute while somebody waits for it is killed.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from realtime_nb.engines.worker_frames import LENGTH, MAX_FRAME_BYTES, Frame, Kind, decode, encode
from realtime_nb.errors import EngineCrashed, EngineError, EngineUnavailable

logger = logging.getLogger(__name__)

OUTBOX_BYTES = 8 * 1024 * 1024
"""What may wait for the child before `notify` raises: about four minutes of 16 kHz audio."""
STREAM_WINDOW_ITEMS = 16
STDERR_TAIL_LINES = 20
START_TIMEOUT_S = 60.0
STOP_GRACE_S = 2.0
HANG_CHECK_S = 15.0
HANG_CHECKS = 4
"""So many in a row without a frame from a child that somebody waits for; a loop that was blocked makes one only."""

_BOOTSTRAP = (
    "import json, sys; sys.path += [p for p in json.loads(sys.argv[2]) if p not in sys.path]; "
    "from realtime_nb.engines.worker_main import main; main(sys.argv[1])"
)


class _Incarnation:
    """One life of the child: its process, its pending calls and the tasks that read from it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.results: dict[int, asyncio.Future[Any]] = {}
        self.streams: dict[int, asyncio.Queue[Frame]] = {}
        self.stderr_tail: collections.deque[str] = collections.deque(maxlen=STDERR_TAIL_LINES)
        self.tasks: list[asyncio.Task[None]] = []
        self.death: EngineCrashed | None = None
        self.waiting = 0
        self.quiet_checks = 0
        self.watchdog: asyncio.TimerHandle | None = None


class WorkerProcess:
    """A child process that answers calls. See the module's docstring.

    Attributes:
        name: who it is, in messages.
        generation: how many children were spawned so far; state kept in the child is lost when it changes.
    """

    def __init__(self, factory: str, *, name: str) -> None:
        """Describe the worker; nothing starts yet.

        Args:
            factory: `module:function` called in the child with `push`; see `worker_main`.
            name: who it is, in messages.
        """
        self.name = name
        self.generation = 0
        self._factory = factory
        self._life: _Incarnation | None = None
        self._starting: asyncio.Task[_Incarnation] | None = None
        self._call_id = 0
        self._listeners: dict[int, Callable[[Any], None]] = {}
        self._closed = False

    @property
    def running(self) -> bool:
        """Whether a warm child is alive."""
        return self._life is not None and self._life.death is None

    @property
    def pid(self) -> int | None:
        """The child's process id, or None."""
        return self._life.process.pid if self._life is not None and self._life.death is None else None

    async def start(self) -> None:
        """Spawn and warm the child unless it runs. Cancelling leaves the start going on for the next caller.

        Raises:
            EngineUnavailable: the engine cannot work here (and what to install).
            EngineCrashed: the child died while it started.
        """
        await self._alive()

    async def request(self, method: str, payload: Any = None) -> Any:
        """Call a method and return its value. Cancelling is safe: a call that has not begun is not made.

        Raises:
            EngineCrashed: the child died before it answered.
            EngineError: the method raised.
        """
        life = await self._alive()
        call_id = self._next_id()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        life.results[call_id] = future
        try:
            self._send(life, Frame(Kind.REQUEST, call_id, method, payload))
            with self._watched(life):
                return await future
        finally:
            del life.results[call_id]
            if future.cancelled():
                self._steer(life, Frame(Kind.CANCEL, call_id))

    def notify(self, method: str, payload: Any = None) -> None:
        """Call a method without waiting for anything. Never blocks.

        Raises:
            EngineCrashed: the child is not running, or is more than `OUTBOX_BYTES` behind (nothing was sent).
        """
        life = self._life
        if life is None or life.death is not None:
            raise (life and life.death) or EngineCrashed(f"The {self.name} is not running.")
        self._send(life, Frame(Kind.NOTIFY, 0, method, payload))

    async def stream(
        self, method: str, payload: Any = None, *, window: int = STREAM_WINDOW_ITEMS
    ) -> AsyncGenerator[Any, None]:
        """Iterate over a stream method's items. Closing the iterator cancels the work in the child.

        Args:
            method: a generator method or a `callback_stream` of the child's object.
            payload: its argument.
            window: how many unread items the child may be ahead; it waits beyond that.

        Raises:
            EngineCrashed: the child died before the end.
            EngineError: the method raised.
        """
        life = await self._alive()
        call_id = self._next_id()
        items: asyncio.Queue[Frame] = asyncio.Queue(window + 2)
        life.streams[call_id] = items
        ended = False
        try:
            self._send(life, Frame(Kind.STREAM, call_id, method, {"payload": payload, "credit": window}))
            while True:
                with self._watched(life):
                    frame = await items.get()
                if frame.kind != Kind.ITEM:
                    ended = True
                    break
                yield frame.value
                self._steer(life, Frame(Kind.CREDIT, call_id, "", 1))
            if frame.kind == Kind.FAILED:
                raise life.death or self._error(frame)
        finally:
            del life.streams[call_id]
            if not ended:
                self._steer(life, Frame(Kind.CANCEL, call_id))

    def on_push(self, channel: int, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call `callback(value)` on the loop for everything that the child pushes to `channel`.

        Returns:
            A function that ends it; calling it twice is fine.
        """
        self._listeners[channel] = callback
        return lambda: self._listeners.pop(channel, None) and None

    async def aclose(self) -> None:
        """Stop the child and wait for its end. Pending calls raise `EngineCrashed`. Closing twice is fine."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self._life is not None:
            await self._end(self._life, f"The {self.name} was closed.")
            self._life = None
        self._listeners.clear()

    def _next_id(self) -> int:
        self._call_id += 1
        return self._call_id

    async def _alive(self) -> _Incarnation:
        if self._closed:
            raise EngineCrashed(f"The {self.name} was closed.", what_now="Start a new server or session.")
        if self._life is not None and self._life.death is None:
            return self._life
        if self._starting is None or self._starting.done():
            self._starting = asyncio.get_running_loop().create_task(self._spawn(), name=f"{self.name}-start")
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise EngineCrashed(f"The {self.name} was closed while it started.") from None
            raise

    async def _spawn(self) -> _Incarnation:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-X", "utf8", "-c", _BOOTSTRAP, self._factory, json.dumps(sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        life = _Incarnation(process)
        loop = asyncio.get_running_loop()
        life.tasks = [
            loop.create_task(self._read_frames(life), name=f"{self.name}-frames"),
            loop.create_task(self._read_stderr(life), name=f"{self.name}-stderr"),
        ]
        self.generation += 1
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await life.ready
        except TimeoutError:
            await self._end(life, f"The {self.name} did not start within {START_TIMEOUT_S:.0f} s.")
            raise life.death or EngineCrashed(f"The {self.name} did not start.") from None
        except BaseException:
            await self._end(life, f"The {self.name} could not start.")
            raise
        self._life = life
        return life

    def _send(self, life: _Incarnation, frame: Frame) -> None:
        writer = life.process.stdin
        if life.death is not None or writer is None or writer.is_closing():
            raise life.death or EngineCrashed(f"The {self.name} is not running.")
        if writer.transport.get_write_buffer_size() > OUTBOX_BYTES:
            raise EngineCrashed(
                f"The {self.name} is {OUTBOX_BYTES // 2**20} MiB of audio behind; it cannot keep up on this machine.",
                what_now="Close other work on this machine or use a lighter engine.",
            )
        writer.write(encode(frame))

    def _steer(self, life: _Incarnation, frame: Frame) -> None:
        """Send a small frame about a call under way; of no interest to a dead child."""
        writer = life.process.stdin
        if life.death is None and writer is not None and not writer.is_closing():
            writer.write(encode(frame))

    @contextlib.contextmanager
    def _watched(self, life: _Incarnation) -> Iterator[None]:
        life.waiting += 1
        if life.waiting == 1:
            life.quiet_checks = 0
        if life.watchdog is None:
            life.watchdog = asyncio.get_running_loop().call_later(HANG_CHECK_S, self._check, life)
        try:
            yield
        finally:
            life.waiting -= 1

    def _check(self, life: _Incarnation) -> None:
        life.watchdog = None
        if not life.waiting or life.death is not None:
            return
        life.quiet_checks += 1
        if life.quiet_checks < HANG_CHECKS:
            life.watchdog = asyncio.get_running_loop().call_later(HANG_CHECK_S, self._check, life)
        else:
            with contextlib.suppress(ProcessLookupError):
                life.process.kill()

    async def _read_frames(self, life: _Incarnation) -> None:
        stdout = life.process.stdout
        assert stdout is not None
        reason = ""
        try:
            while True:
                (size,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
                if size > MAX_FRAME_BYTES:
                    raise ValueError(f"a frame of {size:,} bytes")
                self._dispatch(life, decode(await stdout.readexactly(size)))
                life.quiet_checks = 0
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:  # whatever it is, those who wait must hear of it
            reason = f"The {self.name} sent something unreadable: {error}."
        if life.quiet_checks >= HANG_CHECKS:
            reason = f"The {self.name} did not answer for {HANG_CHECKS * HANG_CHECK_S:.0f} s and was ended."
        await self._bury(life, reason)

    async def _read_stderr(self, life: _Incarnation) -> None:
        stderr = life.process.stderr
        assert stderr is not None
        rest = b""
        while chunk := await stderr.read(4096):
            *lines, rest = (rest + chunk)[-65_536:].split(b"\n")
            life.stderr_tail.extend(line.decode("utf-8", "replace").rstrip()[:500] for line in lines)
        if rest:
            life.stderr_tail.append(rest.decode("utf-8", "replace")[:500])

    def _dispatch(self, life: _Incarnation, frame: Frame) -> None:
        if frame.kind == Kind.PUSH:
            self._hear(frame)
        elif frame.call_id == 0:
            self._announce(life, frame)
        elif (future := life.results.get(frame.call_id)) is not None:
            if not future.done() and frame.kind == Kind.FAILED:
                future.set_exception(self._error(frame))
            elif not future.done():
                future.set_result(frame.value)
        elif (items := life.streams.get(frame.call_id)) is not None:
            items.put_nowait(frame)

    def _hear(self, frame: Frame) -> None:
        listener = self._listeners.get(frame.call_id)
        if listener is not None:
            try:
                listener(frame.value)
            except Exception:
                logger.exception("a listener of the %s failed", self.name)

    def _announce(self, life: _Incarnation, frame: Frame) -> None:
        if frame.kind == Kind.READY and not life.ready.done():
            life.ready.set_result(None)
        elif frame.kind == Kind.FAILED:
            message, what_now = frame.value
            if life.ready.done():
                logger.warning("a notification to the %s failed: %s", self.name, message)
            else:
                error = EngineUnavailable(f"The {self.name} cannot start: {message}", what_now=what_now)
                life.ready.set_exception(error)

    def _error(self, frame: Frame) -> EngineError:
        message, what_now = frame.value
        kind = EngineUnavailable if frame.name == "EngineUnavailable" else EngineError
        return kind(f"The {self.name} failed: {message}", what_now=what_now)

    async def _bury(self, life: _Incarnation, reason: str) -> None:
        """Reap the child and fail everything that waits for it. Idempotent."""
        if life.watchdog is not None:
            life.watchdog.cancel()
        if life.process.stdin is not None:
            life.process.stdin.close()
        try:
            async with asyncio.timeout(STOP_GRACE_S):
                await life.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                life.process.kill()
            await life.process.wait()
        await asyncio.wait(life.tasks[1:], timeout=STOP_GRACE_S)
        if life.death is not None:
            return
        tail = "\n".join(life.stderr_tail)
        said = f" It last said:\n{tail}\n" if tail else ""
        life.death = EngineCrashed(
            (reason or f"The {self.name} died (exit status {life.process.returncode}).") + said,
            what_now="" if self._closed else "It is restarted on the next turn; try again.",
        )
        waiting = [life.ready, *life.results.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(life.death)
        if not life.ready.cancelled():
            life.ready.exception()  # the starter may be gone; this one counts as seen
        for items in life.streams.values():
            while items.full():
                items.get_nowait()
            items.put_nowait(Frame(Kind.FAILED))

    async def _drain(self, life: _Incarnation) -> None:
        """Read what the dead child left in its pipe: asyncio lets go of a pipe only at its end."""
        stdout = life.process.stdout
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                while stdout is not None and await stdout.read(65_536):
                    pass

    async def _end(self, life: _Incarnation, reason: str) -> None:
        for task in life.tasks[:1]:
            task.cancel()
        await asyncio.wait(life.tasks[:1])
        await self._bury(life, reason)
        await self._drain(life)
        for task in life.tasks:
            task.cancel()
        await asyncio.wait(life.tasks)
