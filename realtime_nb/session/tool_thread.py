"""A tool's sync function in a thread of its own: one that never returns holds up nobody, not even the program's end."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

from realtime_nb.errors import RealtimeError

from .owner_loop import call_soon

MAX_THREADS = 32
"""In this process. The loop's own pool is smaller, and other work (files, name look-ups) would wait behind tools."""

_running: set[threading.Thread] = set()


def n_running() -> int:
    """Return how many functions run now, those included that nobody waits for any more."""
    return len(_running)


async def in_own_thread(call: Callable[[], Any]) -> Any:
    """Return what `call` returns, or raise what it raises, `SystemExit` included; contextvars are passed on.

    Cancelling is safe: `call` goes on in its thread, and what comes of it is dropped.

    Raises:
        RealtimeError: too many calls have not returned.
    """
    if n_running() >= MAX_THREADS:
        raise RealtimeError(
            f"{n_running()} tool calls still run, so this one was not begun.",
            what_now="Let tools return: give what they wait for a timeout of its own.",
        )
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = context.run(call), None
        except BaseException as error:
            outcome = None, error
        _running.discard(thread)
        call_soon(loop, settle, outcome)

    def settle(outcome: tuple[Any, BaseException | None]) -> None:
        if not ended.done():
            ended.set_result(outcome)

    thread = threading.Thread(target=work, name="realtime_nb tool", daemon=True)
    _running.add(thread)
    thread.start()
    value, error = await ended
    if error is not None:
        raise error
    return value
