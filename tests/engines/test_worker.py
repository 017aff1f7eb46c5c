"""Worker processes: calls, streams, deaths and endings, with a real child."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from realtime_nb.engines import worker as worker_module
from realtime_nb.engines.worker import WorkerProcess
from realtime_nb.errors import EngineCrashed, EngineError, EngineUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

SAMPLES = "tests.engines.worker_samples"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def worker() -> AsyncIterator[WorkerProcess]:
    worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
    await worker.start()
    yield worker
    await worker.aclose()


def is_gone(pid: int) -> bool:
    """No such process, not even as a zombie of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.005)


async def collect(source: AsyncIterator[Any], into: list[Any]) -> None:
    async for item in source:
        into.append(item)


async def test_concurrent_requests_are_answered_each_with_its_own(worker: WorkerProcess) -> None:
    sums = await asyncio.gather(*(worker.request("add", {"a": n, "b": 1}) for n in range(50)))
    assert sums == list(range(1, 51))


async def test_start_is_idempotent_and_concurrent_starts_share_one_child() -> None:
    worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
    await asyncio.gather(*(worker.start() for _ in range(5)))
    assert worker.generation == 1
    await worker.aclose()
    await worker.aclose()
    assert not worker.running


async def test_a_cancelled_start_serves_the_next_caller() -> None:
    worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
    impatient = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await worker.request("add", {"a": 1, "b": 1}) == 2
    assert worker.generation == 1
    await worker.aclose()


async def test_errors_of_methods_name_the_worker_and_keep_it_alive(worker: WorkerProcess) -> None:
    with pytest.raises(EngineError, match="sample worker failed: ValueError: no such luck"):
        await worker.request("fail")
    with pytest.raises(EngineUnavailable) as caught:
        await worker.request("unavailable")
    assert caught.value.what_now == "Pick another."
    assert worker.running
    assert worker.generation == 1


async def test_notifications_keep_their_order_and_pushes_arrive(worker: WorkerProcess) -> None:
    pushed: list[Any] = []
    forget = worker.on_push(7, pushed.append)
    for number in range(100):
        worker.notify("remember", number)
    assert await worker.request("seen") == list(range(100))
    assert pushed == list(range(100))
    forget()
    forget()
    worker.notify("remember", "unheard")
    assert len(await worker.request("seen")) == 101
    assert len(pushed) == 100


async def test_a_failing_push_listener_does_not_stop_the_others(worker: WorkerProcess) -> None:
    worker.on_push(7, lambda value: 1 / 0)
    worker.notify("remember", 1)
    assert await worker.request("seen") == [1]


@pytest.mark.parametrize("method", ["count", "echo"])
async def test_streams_deliver_all_items_in_order(worker: WorkerProcess, method: str) -> None:
    payload = 300 if method == "count" else list(range(300))
    assert [item async for item in worker.stream(method, payload, window=4)] == list(range(300))


@pytest.mark.parametrize("method", ["count", "echo"])
async def test_closing_a_stream_stops_the_work_and_unread_items_are_bounded(worker: WorkerProcess, method: str) -> None:
    payload: Any = 10**9 if method == "count" else list(range(100_000))
    async with aclosing(worker.stream(method, payload, window=8)) as items:
        async for item in items:
            if item == 20:
                break

    async def stopped() -> bool:
        return (await worker.request("produced"))[1]

    await until(stopped)
    assert (await worker.request("produced"))[0] <= 20 + 1 + 8


async def test_requests_are_served_between_the_items_of_an_endless_stream(worker: WorkerProcess) -> None:
    async with aclosing(worker.stream("count", 10**9)) as items:
        seen = 0
        async for _ in items:
            assert await worker.request("add", {"a": seen, "b": 1}) == seen + 1
            seen += 1
            if seen == 50:
                break


async def test_two_streams_advance_side_by_side(worker: WorkerProcess) -> None:
    async with aclosing(worker.stream("count", 10**9)) as endless:
        assert await anext(endless) == 0
        assert len([item async for item in worker.stream("count", 100)]) == 100
        assert await anext(endless) == 1


async def test_death_fails_everything_pending_quotes_stderr_and_the_next_call_restarts(worker: WorkerProcess) -> None:
    first_pid = await worker.request("pid")
    stream = worker.stream("count", 10**9, window=1)
    assert await anext(stream) == 0
    pending = [asyncio.create_task(worker.request("die", "famous last words")) for _ in range(3)]
    errors = await asyncio.gather(*pending, return_exceptions=True)
    assert all(isinstance(error, EngineCrashed) for error in errors)
    assert "exit status 3" in str(errors[0])
    assert "famous last words" in str(errors[0])
    assert "restarted" in errors[0].what_now
    with pytest.raises(EngineCrashed):
        await collect(stream, [])
    with pytest.raises(EngineCrashed):
        worker.notify("remember", 1)
    assert is_gone(first_pid)
    assert await worker.request("add", {"a": 2, "b": 2}) == 4
    assert worker.generation == 2


async def test_death_in_the_middle_of_a_stream_raises_after_the_items_sent(worker: WorkerProcess) -> None:
    items: list[int] = []
    with pytest.raises(EngineCrashed, match="exit status 4"):
        await collect(worker.stream("count_then_die", 5), items)
    assert items == list(range(len(items)))


async def test_a_killed_child_is_noticed_and_reaped(worker: WorkerProcess) -> None:
    hanging = asyncio.create_task(worker.request("hang"))
    await asyncio.sleep(0)
    pid = worker.pid
    assert pid is not None
    os.kill(pid, 9)
    with pytest.raises(EngineCrashed):
        await hanging
    assert is_gone(pid)


async def test_a_child_that_hangs_is_ended_and_the_next_call_restarts_it(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "HANG_CHECK_S", 0.05)
        with pytest.raises(EngineCrashed, match="did not answer"):
            await worker.request("hang")
    assert await worker.request("add", {"a": 1, "b": 2}) == 3
    assert worker.generation == 2


async def test_a_reader_that_takes_its_time_is_no_hang(worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aclosing(worker.stream("count", 1000, window=1)) as items:
        assert await anext(items) == 0
        life = worker._life
        assert life is not None
        for _ in range(2 * worker_module.HANG_CHECKS):
            worker._check(life)
        assert await anext(items) == 1
    assert worker.generation == 1


async def test_cancelling_a_request_leaves_the_worker_usable(worker: WorkerProcess) -> None:
    request = asyncio.create_task(worker.request("add", {"a": 1, "b": 1}))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await worker.request("add", {"a": 3, "b": 4}) == 7


async def test_closing_fails_pending_calls_even_of_a_hung_child_and_leaves_no_process_or_task() -> None:
    before = asyncio.all_tasks()
    worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
    await worker.start()
    pid = worker.pid
    assert pid is not None
    hanging = asyncio.create_task(worker.request("hang"))
    await asyncio.sleep(0)
    await worker.aclose()
    with pytest.raises(EngineCrashed, match="was closed"):
        await hanging
    assert is_gone(pid)
    assert asyncio.all_tasks() == before
    with pytest.raises(EngineCrashed, match="was closed"):
        await worker.request("add", {"a": 1, "b": 1})


async def test_an_engine_that_cannot_start_says_why_and_what_to_do() -> None:
    worker = WorkerProcess(f"{SAMPLES}:broken", name="sample worker")
    with pytest.raises(EngineUnavailable, match="The weights are missing") as caught:
        await worker.start()
    assert caught.value.what_now == "Fetch them."
    await worker.aclose()


async def test_a_death_at_start_up_quotes_stderr() -> None:
    worker = WorkerProcess(f"{SAMPLES}:dies_early", name="sample worker")
    with pytest.raises(EngineCrashed, match="segmentation imminent"):
        await worker.start()
    await worker.aclose()


async def test_a_start_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "START_TIMEOUT_S", 0.01)
    worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
    with pytest.raises(EngineCrashed, match="did not start"):
        await worker.start()
    await worker.aclose()


async def test_notify_refuses_when_the_child_is_too_far_behind(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "OUTBOX_BYTES", 100_000)
    hanging = asyncio.create_task(worker.request("hang"))
    await asyncio.sleep(0)

    def flood() -> None:
        for _ in range(100_000):
            worker.notify("remember", b"x" * 10_000)

    with pytest.raises(EngineCrashed, match="behind"):
        flood()
    hanging.cancel()


def test_it_works_on_a_loop_of_another_thread() -> None:
    results: list[Any] = []

    async def talk() -> None:
        worker = WorkerProcess(f"{SAMPLES}:main", name="sample worker")
        results.append(await worker.request("add", {"a": 20, "b": 22}))
        pid = worker.pid
        await worker.aclose()
        results.append(is_gone(pid or 0))

    thread = threading.Thread(target=lambda: asyncio.run(talk()))
    thread.start()
    thread.join(30)
    assert results == [42, True]


async def test_the_child_ends_when_its_parent_is_killed() -> None:
    script = (
        "import asyncio, sys\n"
        "from realtime_nb.engines.worker import WorkerProcess\n"
        "async def main():\n"
        f"    worker = WorkerProcess('{SAMPLES}:main', name='sample worker')\n"
        "    await worker.start()\n"
        "    print(worker.pid, flush=True)\n"
        "    await worker.request('hang')\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    status = Path(f"/proc/{pid}/stat")

    async def ended() -> bool:
        return is_gone(pid) or status.read_text().rpartition(")")[2].split()[0] == "Z"

    await until(ended)


def test_nothing_heavy_is_imported_in_the_parent() -> None:
    code = "import sys, realtime_nb.engines.worker; assert not {'numpy', 'pocketsphinx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
