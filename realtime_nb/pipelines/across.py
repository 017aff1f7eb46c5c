"""An asynchronous iterator that lives on the runtime's loop, read from any other.

A cell that computes would stop the clock of a pipeline on the kernel's own loop; on the runtime thread it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from realtime_nb.errors import RealtimeError
from realtime_nb.runtime import runtime

T = TypeVar("T")

MAX_WAITING = 50_000
"""Items that a reader may be behind, a few hours of audio; more is an error."""


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


async def on_runtime(make: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """Yield what `make()` yields while it runs on the runtime's loop.

    A slow reader does not slow it down. Closing this iterator closes that one and waits for its end.

    Raises:
        RealtimeError: the reader was much too slow.
    """
    home = runtime()
    if home.on_runtime_thread:
        async with contextlib.aclosing(make()) as items:
            async for item in items:
                yield item
        return
    here = asyncio.get_running_loop()
    inbox: asyncio.Queue[T | _End] = asyncio.Queue()
    pump = _Pump(make, lambda item: here.call_soon_threadsafe(inbox.put_nowait, item), inbox.qsize)
    home.submit(pump.run())
    ended = False
    try:
        while True:
            got = await inbox.get()
            if isinstance(got, _End):
                ended = True
                if got.error is not None:
                    raise got.error
                return
            yield got
    finally:
        with contextlib.suppress(RuntimeError):  # the runtime is gone, and the pump with it
            home.loop.call_soon_threadsafe(pump.stop)
            while not ended:
                ended = isinstance(await inbox.get(), _End)


class _Pump:
    """Runs on the runtime's loop; gives every item and, whatever happens, one `_End`."""

    def __init__(
        self,
        make: Callable[[], AsyncGenerator[Any, None]],
        give: Callable[[Any], object],
        waiting: Callable[[], int],
    ) -> None:
        self._make = make
        self._give = give
        self._waiting = waiting
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False

    async def run(self) -> None:
        error: BaseException | None = None
        self._task = asyncio.current_task()
        try:
            if not self._stopped:
                await self._run()
        except asyncio.CancelledError:
            error = RealtimeError("The pipeline was stopped.")
            raise
        except BaseException as problem:
            error = problem
        finally:
            with contextlib.suppress(RuntimeError):  # the reader's loop is gone
                self._give(_End(error))

    async def _run(self) -> None:
        async with contextlib.aclosing(self._make()) as items:
            async for item in items:
                if self._waiting() > MAX_WAITING:
                    raise RealtimeError("The events of a pipeline are not being read.")
                self._give(item)

    def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
