"""Iterating over what happens on another loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator

import pytest

from realtime_nb.errors import RealtimeError
from realtime_nb.pipelines import across
from realtime_nb.pipelines.across import on_runtime
from realtime_nb.runtime import runtime

pytestmark = pytest.mark.anyio


class Counting:
    """Counts on the loop it runs on, and notes where that was and that it was closed."""

    def __init__(self, most: int = 5, error: Exception | None = None) -> None:
        self.most, self.error = most, error
        self.thread = ""
        self.closed = threading.Event()

    async def run(self) -> AsyncGenerator[int, None]:
        self.thread = threading.current_thread().name
        try:
            for number in range(self.most):
                await asyncio.sleep(0)
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


async def test_items_come_in_order_from_the_runtime_thread() -> None:
    counting = Counting()
    assert [number async for number in on_runtime(counting.run)] == [0, 1, 2, 3, 4]
    assert counting.thread == "realtime_nb-runtime"
    assert counting.closed.is_set()


async def test_on_the_runtime_itself_nothing_is_carried() -> None:
    async def there() -> list[int]:
        return [number async for number in on_runtime(Counting(3).run)]

    assert await runtime().call(there()) == [0, 1, 2]


async def test_its_error_is_raised_here_after_its_items() -> None:
    seen = []
    with pytest.raises(ValueError, match="enough"):
        async for number in on_runtime(Counting(2, ValueError("enough")).run):
            seen.append(number)
    assert seen == [0, 1]


async def test_breaking_off_closes_it_before_going_on() -> None:
    counting = Counting(10**9)
    async with contextlib.aclosing(on_runtime(counting.run)) as numbers:
        async for number in numbers:
            if number == 3:
                break
    assert counting.closed.is_set()


async def test_cancelling_the_reader_closes_it() -> None:
    counting = Counting(10**9)

    async def read() -> None:
        async for _ in on_runtime(counting.run):
            pass

    task = asyncio.create_task(read())
    while not counting.thread:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counting.closed.is_set()


async def test_a_reader_that_does_not_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across, "MAX_WAITING", 10)
    counting = Counting(10**6)
    numbers = on_runtime(counting.run)
    await anext(numbers)
    await asyncio.to_thread(counting.closed.wait, 10)
    with pytest.raises(RealtimeError, match="not being read"):
        async for _ in numbers:
            pass
