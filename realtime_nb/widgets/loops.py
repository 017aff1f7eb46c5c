"""Hand work to the loop that owns it, from whatever thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["call_on", "hand_to", "on_loop"]

T = TypeVar("T")


def on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the caller runs on `loop`."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def hand_to(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> None:
    """Call `function` on `loop`: now when there already, else soon; nothing happens when the loop is closed."""
    if on_loop(loop):
        function(*arguments)
    else:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(function, *arguments)


async def call_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine on `loop` from any loop. Cancelling the caller cancels it."""
    if on_loop(loop):
        return await coroutine
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
