"""Pools of workers, with real children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime_nb.engines import worker_pool
from realtime_nb.engines.worker import WorkerProcess
from realtime_nb.engines.worker_pool import WorkerPool
from realtime_nb.errors import EngineCrashed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

FACTORY = "tests.engines.worker_samples:main"


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    monkeypatch.setattr(worker_pool, "_processors", lambda: 2)
    pool = WorkerPool(FACTORY, name="sample worker", busy_at=2)
    await pool.start()
    yield pool
    await pool.aclose()


async def grown(pool: WorkerPool, size: int) -> None:
    async with asyncio.timeout(30):
        while len(pool.workers) < size:
            await asyncio.sleep(0.01)


async def test_one_worker_is_enough_until_it_is_busy(pool: WorkerPool) -> None:
    for _ in range(20):
        worker, other = pool.take(), pool.take()
        assert worker is other is pool.workers[0]
        pool.give_back(worker)
        pool.give_back(other)
    assert pool._growing is None


async def test_a_busy_pool_grows_to_the_processors_and_shares_the_jobs_out(pool: WorkerPool) -> None:
    first = [pool.take() for _ in range(3)]
    assert {worker.pid for worker in first} == {pool.workers[0].pid}, "nobody waits for the new one"
    await grown(pool, 2)
    assert [pool.take() for _ in range(3)] == [pool.workers[1]] * 3
    assert len({await worker.request("pid") for worker in pool.workers}) == 2
    for _ in range(10):
        pool.take()
    assert pool._growing is None
    assert sorted(pool._jobs.values()) == [8, 8]


async def test_jobs_that_ended_count_no_more(pool: WorkerPool) -> None:
    jobs = [pool.take() for _ in range(3)]
    await grown(pool, 2)
    for worker in jobs:
        pool.give_back(worker)
    assert pool.take() is pool.workers[0]
    assert pool.take() is pool.workers[1]


async def test_a_worker_that_dies_gets_no_more_jobs_and_no_successor_but_the_first_has_one(pool: WorkerPool) -> None:
    jobs = [pool.take() for _ in range(3)]
    await grown(pool, 2)
    first, second = pool.workers
    jobs.append(pool.take())
    assert jobs[-1] is second
    with pytest.raises(EngineCrashed):
        await second.request("die", "")
    assert [pool.take() for _ in range(4)] == [first] * 4
    assert pool._growing is None
    for worker in jobs:
        pool.give_back(worker)
    with pytest.raises(EngineCrashed):
        await first.request("die", "")
    assert await pool.take().request("add", {"a": 1, "b": 2}) == 3


async def test_closing_ends_a_worker_that_is_just_starting() -> None:
    pool = WorkerPool(FACTORY, name="sample worker", busy_at=0)
    pool._most = 2
    pool.take()
    assert pool._newest is not None
    newest = pool._newest
    await asyncio.sleep(0)
    await pool.aclose()
    await pool.aclose()
    assert newest.pid is None
    with pytest.raises(EngineCrashed):
        await newest.start()


async def test_a_worker_that_cannot_start_leaves_the_first_at_work(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def die(self: WorkerProcess) -> None:
        raise EngineCrashed("The sample worker died.")

    with monkeypatch.context() as patched:
        patched.setattr(WorkerProcess, "start", die)
        for _ in range(3):
            pool.take()
        assert pool._growing is not None
        await pool._growing
    assert "no more workers" in caplog.text
    assert pool.take() is pool.workers[0]
    assert pool._growing is None
    assert await pool.workers[0].request("add", {"a": 1, "b": 2}) == 3
