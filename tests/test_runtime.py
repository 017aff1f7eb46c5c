"""The runtime thread: calls from anywhere, cancellation, endings, forks, reloads."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest

from realtime_nb import runtime as runtime_module
from realtime_nb.errors import RealtimeError
from realtime_nb.runtime import THREAD_NAME, Runtime, runtime


@pytest.fixture
def engine_room():
    room = Runtime()
    yield room
    room.stop()


async def where() -> int:
    return threading.get_ident()


def test_run_uses_one_thread_that_is_not_ours(engine_room):
    threads = {engine_room.run(where(), 10) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_not_started_before_first_use():
    room = Runtime()
    assert not room.running
    assert room.usable
    room.stop()
    assert not room.usable


def test_call_from_another_loop(engine_room):
    async def caller() -> int:
        return await engine_room.call(where())

    assert asyncio.run(caller()) == engine_room.run(where(), 10)


def test_call_on_the_runtime_loop_awaits_directly(engine_room):
    async def outer() -> int:
        return await engine_room.call(where())

    assert engine_room.run(outer(), 10) == engine_room.run(where(), 10)


def test_exception_comes_through(engine_room):
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine_room.run(fails(), 10)


def test_timeout_raised_inside_is_not_mistaken_for_ours(engine_room):
    async def fails() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        engine_room.run(fails(), 10)


def test_cancelling_the_caller_cancels_the_coroutine(engine_room):
    entered, cancelled = threading.Event(), threading.Event()

    async def inner() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def caller() -> None:
        task = asyncio.ensure_future(engine_room.call(inner()))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(caller())
    assert cancelled.wait(10)


def test_run_timeout_cancels(engine_room):
    cancelled = threading.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        engine_room.run(never(), 0.05)
    assert cancelled.wait(10)


def test_blocking_run_on_the_runtime_thread_is_refused(engine_room):
    async def blocks() -> None:
        engine_room.run(where())

    with pytest.raises(RealtimeError, match="wait for itself"):
        engine_room.run(blocks(), 10)


def test_submitted_coroutine_survives_a_dropped_future(engine_room):
    import gc

    release, done = threading.Event(), threading.Event()

    async def works() -> None:
        await asyncio.to_thread(release.wait, 10)
        done.set()

    engine_room.submit(works())
    gc.collect()
    release.set()
    assert done.wait(10)


def test_stop_runs_closers_newest_first_and_cancels_tasks():
    room = Runtime()
    order: list[str] = []
    entered = threading.Event()

    async def closer(name: str) -> None:
        order.append(name)

    async def stays() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("task")

    room.on_stop(lambda: closer("first"))
    room.on_stop(lambda: closer("second"))
    room.on_stop(lambda: closer("gone"))()
    future = room.submit(stays())
    assert entered.wait(10)
    loop = room.loop
    room.stop()
    room.stop()
    assert order == ["second", "first", "task"]
    assert future.cancelled()
    assert loop.is_closed()
    with pytest.raises(RealtimeError, match="stopped"):
        _ = room.loop


def test_a_failing_closer_does_not_stop_the_others():
    room = Runtime()
    ran = threading.Event()

    async def fails() -> None:
        raise ValueError("closer")

    async def works() -> None:
        ran.set()

    room.on_stop(works)
    room.on_stop(fails)
    assert room.loop
    room.stop()
    assert ran.is_set()


def test_submit_after_stop_leaves_no_unawaited_coroutine():
    room = Runtime()
    room.stop()
    coroutine = where()
    with pytest.raises(RealtimeError):
        room.submit(coroutine)
    with pytest.raises(RuntimeError, match="cannot reuse"):
        coroutine.send(None)


def test_singleton_survives_rerun_reload_and_stop():
    first = runtime()
    assert runtime() is first
    loop = first.loop
    importlib.reload(runtime_module)
    assert runtime_module.runtime() is first
    assert first.loop is loop
    first.stop()
    second = runtime_module.runtime()
    assert second is not first
    assert second.run(where(), 10)
    second.stop()
    assert THREAD_NAME not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def _in_child(connection) -> None:
    room = runtime()
    connection.send((room.pid == os.getpid(), room.run(where(), 10) > 0))
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_gets_its_own():
    room = runtime()
    assert room.run(where(), 10)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_in_child, args=(theirs,))
    child.start()
    assert ours.poll(20)
    assert ours.recv() == (True, True)
    child.join(20)
    assert child.exitcode == 0
    assert room.run(where(), 10)


def test_interpreter_exit_runs_closers_quietly():
    script = (
        "import asyncio\n"
        "from realtime_nb.runtime import runtime\n"
        "async def closer():\n    await asyncio.sleep(0); print('closed')\n"
        "async def stays():\n    await asyncio.Event().wait()\n"
        "r = runtime(); r.on_stop(closer); r.submit(stays()); print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["end", "closed"]
    assert done.stderr == ""


AT_EXIT = """
import threading, time
from realtime_nb.runtime import runtime, wait_at_exit
runtime().loop
begin = threading.Event()
def write():
    begin.wait()
    time.sleep(0.3)
    print("written", flush=True)
thread = threading.Thread(target=write, daemon=True)
thread.start()
async def closed():
    begin.set()
    wait_at_exit(thread)
runtime().on_stop(closed)
"""


def test_the_interpreter_waits_for_what_a_closed_session_still_writes() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("written\n", "", 0)
