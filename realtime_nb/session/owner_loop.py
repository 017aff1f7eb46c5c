"""Calls that may come from any thread and any event loop, run on the one loop that owns the session."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class _Owned(Protocol):
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...


Self = TypeVar("Self", bound=_Owned)


def on_owner_loop(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Make a coroutine method awaitable from any loop; it runs on `self.loop`. Cancelling the caller cancels it."""

    @functools.wraps(method)
    async def anywhere(self: Self, *args: P.args, **kwargs: P.kwargs) -> T:
        if asyncio.get_running_loop() is self.loop:
            return await method(self, *args, **kwargs)
        future = asyncio.run_coroutine_threadsafe(method(self, *args, **kwargs), self.loop)
        return await asyncio.wrap_future(future)

    return cast(Any, anywhere)


def call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    """Call something on another loop, from any thread; no effect once that loop is gone."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *args)


def set_soon(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of another loop, from any thread; no effect once that loop is gone."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
