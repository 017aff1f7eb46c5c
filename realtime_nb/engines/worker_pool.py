"""Workers of one kind: one at first, more of them once several people want something at the same time."""

from __future__ import annotations

import asyncio
import logging
import os

from realtime_nb.engines.worker import WorkerProcess
from realtime_nb.errors import EngineCrashed, EngineError

logger = logging.getLogger(__name__)

MOST_WORKERS = 3


class WorkerPool:
    """Gives each job the worker that has the fewest.

    When all have `busy_at` jobs and there are fewer than processors (and than `MOST_WORKERS`), another one is started
    beside them; no job waits for it. It stays until the pool is closed. Should it die (of a lack of memory, mostly), it
    gets no successor: only the first worker is always there. Like its workers, a pool belongs to one loop.

    Attributes:
        workers: those that take jobs.
    """

    def __init__(self, factory: str, *, name: str, busy_at: int) -> None:
        """Describe the workers; nothing starts yet.

        Args:
            factory: as of `WorkerProcess`.
            name: who they are, in messages.
            busy_at: jobs at once that are enough for one worker.
        """
        self.workers = [WorkerProcess(factory, name=name)]
        self._factory = factory
        self._name = name
        self._busy_at = busy_at
        self._most = min(MOST_WORKERS, _processors())
        self._jobs = {self.workers[0]: 0}
        self._dead: list[WorkerProcess] = []
        self._newest: WorkerProcess | None = None
        self._growing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the first worker. Calling twice is fine.

        Raises:
            EngineUnavailable: the engine cannot work here.
            EngineCrashed: the worker died while it started, or the pool was closed.
        """
        await self.workers[0].start()

    def take(self) -> WorkerProcess:
        """Return a worker for a job; `give_back` it afterwards. Call it on the loop."""
        for dead in [worker for worker in self.workers[1:] if not worker.running]:
            self.workers.remove(dead)
            self._dead.append(dead)
            self._most = len(self.workers)
        worker = min(self.workers, key=self._jobs.__getitem__)
        self._jobs[worker] += 1
        if self._jobs[worker] > self._busy_at and self._growing is None and len(self.workers) < self._most:
            self._newest = WorkerProcess(self._factory, name=self._name)
            self._growing = asyncio.get_running_loop().create_task(self._grow(self._newest), name="worker-pool-grow")
        return worker

    def give_back(self, worker: WorkerProcess) -> None:
        """Say that a job has ended."""
        self._jobs[worker] -= 1

    async def aclose(self) -> None:
        """Stop all workers. Closing twice is fine."""
        self._most = 0
        if self._growing is not None:
            self._growing.cancel()
            await asyncio.wait([self._growing])
        if self._newest is not None:
            await self._newest.aclose()
        for worker in (*self.workers, *self._dead):
            await worker.aclose()

    async def _grow(self, worker: WorkerProcess) -> None:
        try:
            await worker.start()
        except EngineCrashed as problem:
            logger.warning("there will be no more workers beside %s: %s", self._name, problem)
            self._most = 0
        except EngineError:
            self._most = 0
        else:
            self._jobs[worker] = 0
            self.workers.append(worker)
        self._growing = None


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
