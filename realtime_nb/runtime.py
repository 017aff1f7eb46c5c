"""The engine room: one daemon thread with one asyncio loop per process, where sessions, servers and links live.

A cell that computes freezes the kernel's own loop; this one goes on. `runtime()` gives the process-wide `Runtime`.
It starts with the first use, survives re-run cells and module reloads, ends cleanly at interpreter exit, and is never
shared with a forked child.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from realtime_nb.errors import RealtimeError

__all__ = ["Runtime", "runtime", "wait_at_exit"]

T = TypeVar("T")
THREAD_NAME = "realtime_nb-runtime"
CLOSER_TIMEOUT_S = 3.0
JOIN_TIMEOUT_S = 8.0

logger = logging.getLogger(__name__)


class Runtime:
    """A daemon thread that runs one asyncio loop.

    Every method may be called from any thread. Use `runtime()` instead of making one, except in tests.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._submitted: set[concurrent.futures.Future[Any]] = set()
        self._closers: dict[int, Callable[[], Awaitable[object]]] = {}
        self._closer_count = 0

    @property
    def running(self) -> bool:
        """Whether the thread is alive and usable from this process."""
        thread = self._thread
        return thread is not None and thread.is_alive() and not self._stopped and self.pid == os.getpid()

    @property
    def usable(self) -> bool:
        """Whether this runtime runs or can still be started in this process."""
        return not self._stopped and self.pid == os.getpid() and (self._thread is None or self._thread.is_alive())

    @property
    def on_runtime_thread(self) -> bool:
        """Whether the caller is on the runtime's own thread."""
        return threading.current_thread() is self._thread

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; starts the thread on first use.

        Raises:
            RealtimeError: the runtime was stopped, or belongs to the parent of this forked process.
        """
        with self._lock:
            if self._loop is None and not self._stopped:
                self._start()
            if not self.running or self._loop is None:
                raise RealtimeError(
                    "This runtime was stopped, or belongs to the process that this one was forked from.",
                    what_now="Call realtime_nb.runtime.runtime() again for a fresh one and connect anew.",
                )
            return self._loop

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine on the runtime loop and return at once.

        The runtime holds on to it until it ends; cancelling the returned future cancels the coroutine.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except BaseException:
            coroutine.close()
            raise
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)
        return future

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the runtime loop and await it from any loop.

        Cancellation-safe: cancelling the caller cancels the coroutine. On the runtime loop it is awaited directly.
        """
        if self.on_runtime_thread:
            return await coroutine
        return await asyncio.wrap_future(self.submit(coroutine))

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine on the runtime loop and block until it ends.

        Raises:
            RealtimeError: called on the runtime thread, where blocking would stop the loop for ever.
            TimeoutError: not done in `timeout_s` seconds; the coroutine was cancelled.
        """
        if self.on_runtime_thread:
            coroutine.close()
            raise RealtimeError(
                "A blocking call was made on the runtime thread, which would wait for itself for ever.",
                what_now="Use the awaitable form there, or call it from a cell.",
            )
        future = self.submit(coroutine)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            if future.done() and not future.cancelled():
                raise
            future.cancel()
            raise TimeoutError(f"Nothing came back within {timeout_s:g} s; the call was cancelled.") from None
        except BaseException:
            future.cancel()
            raise

    def on_stop(self, closer: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        """Register what must be closed before the loop ends: newest first, 3 s for all. Returns how to take it back."""
        with self._lock:
            self._closer_count += 1
            key = self._closer_count
            self._closers[key] = closer
        return lambda: self._closers.pop(key, None) and None

    def stop(self) -> None:
        """Close what was registered, cancel every task, end the thread. Idempotent; not from the runtime thread."""
        with self._lock:
            loop, thread, self._stopped = self._loop, self._thread, True
        if loop is None or thread is None or not thread.is_alive() or self.pid != os.getpid():
            return
        if self.on_runtime_thread:
            raise RealtimeError(
                "The runtime cannot be stopped from its own thread.",
                what_now="Stop it from a cell.",
            )
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(JOIN_TIMEOUT_S)
        if thread.is_alive():
            logger.warning(
                "The runtime thread did not end within %g s; something blocks its loop.",
                JOIN_TIMEOUT_S,
            )

    def _start(self) -> None:
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, args=(loop,), name=THREAD_NAME, daemon=True)
        self._thread.start()

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            try:
                loop.run_until_complete(self._end())
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                asyncio.set_event_loop(None)
                loop.close()

    async def _end(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSER_TIMEOUT_S):
                while self._closers:
                    await self._run_closer(self._closers.popitem()[1])
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSER_TIMEOUT_S)

    async def _run_closer(self, closer: Callable[[], Awaitable[object]]) -> None:
        try:
            await closer()
        except Exception:
            logger.exception("Closing %r at the end of the runtime failed.", closer)


_lock = threading.Lock()
_current: Runtime | None = globals().get("_current")
_inherited: list[Runtime] = globals().get("_inherited", [])
_awaited: weakref.WeakSet[threading.Thread] = globals().get("_awaited", weakref.WeakSet())


def runtime() -> Runtime:
    """Return this process's `Runtime`; a new one after a fork or after `stop()`."""
    global _current
    with _lock:
        if _current is None or not _current.usable:
            if _current is not None and _current.pid != os.getpid():
                _inherited.append(_current)
            _current = Runtime()
        return _current


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.Lock()


def wait_at_exit(thread: threading.Thread) -> None:
    """Let the interpreter wait for a daemon thread, at most 3 s, when everything else has been closed."""
    _awaited.add(thread)


def _stop_at_exit() -> None:
    if _current is not None:
        _current.stop()
    for thread in tuple(_awaited):
        thread.join(CLOSER_TIMEOUT_S)


if "_registered" not in globals():
    _registered = True
    atexit.register(lambda: _stop_at_exit())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _renew_lock_after_fork())
