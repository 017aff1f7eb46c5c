"""The worker's side: reads calls from stdin, runs them in order, writes results to what was stdout.

A worker is described by a factory, `module:function`. It is called with `push` and returns an object
whose public methods are the calls::

    def main(push: Push) -> object:
        return Engine(push)

    class Engine:
        def warm(self) -> None: ...                    # optional; before the parent's `start` returns
        def add(self, payload: dict) -> int: ...       # a request, or a one-way notification
        def count(self, payload: dict) -> Iterator[int]:   # a stream: a generator function
            yield from range(payload["to"])
        @callback_stream
        def speak(self, payload: dict, out: Outlet) -> None:   # a stream, from inside a C callback
            library.speak(payload["text"], lambda pcm: out.send(pcm))   # False: stop
        def idle(self) -> bool: ...                    # optional; 20 ms of work when no call waits; True: more is left
        def close(self) -> None: ...                   # optional

`push(channel, value)` sends something unasked to `WorkerProcess.on_push(channel, …)`.

Requests and notifications run one after the other on the main thread in the order they came; generator
streams are advanced in turn between them, an item at a time; a `callback_stream` has a thread of its own (at
most 64 at once). Values are whatever msgpack carries: None, bool, int, float, str, bytes, list, dict.
Raise `EngineUnavailable` or any `RealtimeError` to tell the parent what to do; any other exception becomes an
`EngineError` there. What is printed goes to stderr, whose tail the parent quotes if the worker dies.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from realtime_nb.engines.worker_frames import LENGTH, MAX_FRAME_BYTES, Frame, Kind, decode, encode
from realtime_nb.errors import RealtimeError

Push = Callable[[int, Any], None]
INBOX_FRAMES = 4096
MAX_CALLBACK_STREAMS = 64
_PARENT_CHECK_S = 5.0
_EXIT_GRACE_S = 1.0


class Outlet:
    """Where a `callback_stream` sends its items."""

    def __init__(self, send: Callable[[Any], None], credit: int) -> None:
        self._send = send
        self._credit = threading.Semaphore(credit)
        self.cancelled = False

    def send(self, value: Any) -> bool:
        """Send an item; wait while the parent has too many unread. False when the stream was cancelled: stop then."""
        self._credit.acquire()
        if self.cancelled:
            return False
        self._send(value)
        return True

    def grant(self, items: int) -> None:
        """Allow more items."""
        self._credit.release(items)

    def cancel(self) -> None:
        """Make `send` return False from now on."""
        self.cancelled = True
        self._credit.release()


def callback_stream(method: Callable[..., None]) -> Callable[..., None]:
    """Mark a method `(payload, out)` as a stream that runs in a thread of its own and sends its items to `out`."""
    method.__worker_callback_stream__ = True  # type: ignore[attr-defined]
    return method


class _Generating:
    """A generator stream under way."""

    def __init__(self, items: Iterator[Any], credit: int) -> None:
        self.items = items
        self.credit = credit


class Child:
    """The worker's loop."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._write_lock = threading.Lock()
        self._inbox: queue.Queue[Frame | None] = queue.Queue(INBOX_FRAMES)
        self._cancelled: set[int] = set()
        self._generating: dict[int, _Generating] = {}
        self._outlets: dict[int, Outlet] = {}
        self._target: Any = None
        self._idle_work_left = False

    def run(self, factory_path: str) -> None:
        """Serve until the parent closes stdin or dies."""
        try:
            module_name, _, function_name = factory_path.partition(":")
            factory = getattr(importlib.import_module(module_name), function_name)
            self._target = factory(self.push)
            if hasattr(self._target, "warm"):
                self._target.warm()
        except Exception as error:
            self._write_error(0, error)
            return
        self._write(Frame(Kind.READY))
        threading.Thread(target=self._read_frames, name="worker-reader", daemon=True).start()
        try:
            while self._step():
                pass
        finally:
            for outlet in list(self._outlets.values()):
                outlet.cancel()
            if hasattr(self._target, "close"):
                self._target.close()

    def push(self, channel: int, value: Any) -> None:
        """Send a value to the parent's listener of that channel. Any thread."""
        self._write(Frame(Kind.PUSH, channel, "", value))

    def _write(self, frame: Frame) -> None:
        data = encode(frame)
        try:
            with self._write_lock:
                self._sink.write(data)
                self._sink.flush()
        except OSError:
            os._exit(0)

    def _write_error(self, call_id: int, error: BaseException) -> None:
        if isinstance(error, RealtimeError):
            value = [error.message, error.what_now]
        else:
            traceback.print_exception(error, file=sys.stderr)
            value = [f"{type(error).__name__}: {error}", ""]
        self._write(Frame(Kind.FAILED, call_id, type(error).__name__, value))

    def _read_frames(self) -> None:
        while (frame := self._read_frame()) is not None:
            if frame.kind == Kind.CANCEL:
                outlet = self._outlets.get(frame.call_id)
                if outlet is not None:
                    outlet.cancel()
                else:
                    self._cancelled.add(frame.call_id)
            elif frame.kind == Kind.CREDIT and (outlet := self._outlets.get(frame.call_id)) is not None:
                outlet.grant(frame.value)
                continue
            self._inbox.put(frame)
        with contextlib.suppress(queue.Full):
            self._inbox.put_nowait(None)
        threading.Event().wait(_EXIT_GRACE_S)
        os._exit(0)

    def _read_frame(self) -> Frame | None:
        header = self._source.read(LENGTH.size)
        if len(header) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack(header)
        if size > MAX_FRAME_BYTES:
            return None
        body = self._source.read(size)
        return decode(body) if len(body) == size else None

    def _step(self) -> bool:
        runnable = [call_id for call_id, stream in self._generating.items() if stream.credit > 0]
        busy = bool(runnable) or self._idle_work_left
        try:
            frame = self._inbox.get(block=not busy, timeout=None if busy else _PARENT_CHECK_S)
        except queue.Empty:
            for call_id in runnable:
                self._advance(call_id)
            self._idle_work_left = self._idle_work_left and self._target.idle()
            return busy or os.getppid() == _PARENT_PID
        if frame is None:
            return False
        self._handle(frame)
        self._idle_work_left = hasattr(self._target, "idle")
        return True

    def _handle(self, frame: Frame) -> None:
        if frame.kind == Kind.CANCEL:
            self._cancelled.discard(frame.call_id)
            stream = self._generating.pop(frame.call_id, None)
            if stream is not None and hasattr(stream.items, "close"):
                stream.items.close()
            if (outlet := self._outlets.get(frame.call_id)) is not None:
                outlet.cancel()
        elif frame.kind == Kind.CREDIT:
            if (stream := self._generating.get(frame.call_id)) is not None:
                stream.credit += frame.value
            elif (outlet := self._outlets.get(frame.call_id)) is not None:
                outlet.grant(frame.value)
        elif frame.call_id not in self._cancelled:
            self._call(frame)

    def _call(self, frame: Frame) -> None:
        try:
            method = getattr(self._target, frame.name)
            payload = frame.value["payload"] if frame.kind == Kind.STREAM else frame.value
            if frame.kind != Kind.STREAM:
                value = method(payload)
                if frame.kind == Kind.REQUEST:
                    self._write(Frame(Kind.RESULT, frame.call_id, "", value))
            elif getattr(method, "__worker_callback_stream__", False):
                self._start_callback_stream(frame, method, payload)
            elif inspect.isgeneratorfunction(method):
                self._generating[frame.call_id] = _Generating(method(payload), frame.value["credit"])
            else:
                raise TypeError(f"{frame.name} is not a stream: make it a generator function or a callback_stream")
        except Exception as error:
            self._write_error(frame.call_id, error)

    def _start_callback_stream(self, frame: Frame, method: Callable[..., None], payload: Any) -> None:
        if len(self._outlets) >= MAX_CALLBACK_STREAMS:
            raise RuntimeError(f"more than {MAX_CALLBACK_STREAMS} streams at once")
        call_id = frame.call_id
        outlet = Outlet(lambda value: self._write(Frame(Kind.ITEM, call_id, "", value)), frame.value["credit"])
        self._outlets[call_id] = outlet
        if call_id in self._cancelled:
            outlet.cancel()

        def work() -> None:
            try:
                method(payload, outlet)
                self._write(Frame(Kind.END, call_id))
            except Exception as error:
                self._write_error(call_id, error)
            finally:
                self._outlets.pop(call_id, None)

        threading.Thread(target=work, name=f"worker-stream-{call_id}", daemon=True).start()

    def _advance(self, call_id: int) -> None:
        stream = self._generating[call_id]
        if call_id in self._cancelled:
            return
        try:
            value = next(stream.items)
        except StopIteration:
            del self._generating[call_id]
            self._write(Frame(Kind.END, call_id))
        except Exception as error:
            del self._generating[call_id]
            self._write_error(call_id, error)
        else:
            stream.credit -= 1
            self._write(Frame(Kind.ITEM, call_id, "", value))


_PARENT_PID = os.getppid()


def main(factory_path: str) -> None:
    """Run a worker in this process: frames on stdin and on what was stdout, everything printed on stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sink = os.fdopen(os.dup(1), "wb", buffering=256 * 1024)
    source = os.fdopen(os.dup(0), "rb", buffering=64 * 1024)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    Child(source, sink).run(factory_path)
    os._exit(0)
