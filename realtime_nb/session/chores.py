"""What a session does beside its connection: owned by it, and over with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from realtime_nb.errors import RealtimeError

from .observers import Observers

LONGEST_END_S = 5.0


class Chores:
    """The tasks of one session, on its loop. What goes wrong in one is a notice, and hurts nothing else."""

    def __init__(self, observers: Observers) -> None:
        self._observers = observers
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; it ends with the session."""
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before its first step, nobody awaited it
        return task

    async def end(self) -> None:
        """Stop all. A user's function that goes on all the same is waited for no longer than `LONGEST_END_S`."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LONGEST_END_S)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RealtimeError as error:
            self._observers.tell("on_notice", "warning", error.message, error.what_now)
        except Exception as error:
            self._observers.tell("on_notice", "error", f"Something beside the talk broke: {error!r}.", "")
