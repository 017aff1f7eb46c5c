"""What the parts of one connection share: the machine, the way out, and the tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from realtime_nb.engines.base import EngineSet
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.server.outbox import Outbox, SlowConsumer

Sleep = Callable[[float], Awaitable[None]]


class Goodbye(msgspec.Struct, frozen=True):
    """How a connection ends from our side; `code` 0 when the client is gone already."""

    code: int
    reason: str = ""


CLIENT_GONE = Goodbye(0)
SLOW_CONSUMER = Goodbye(1008, "slow_consumer")


class Wire:
    """One connection's machine, outbox, engines and task group.

    Args:
        protocol: the machine; whoever changes it calls `flush` afterwards.
        outbox: where its frames go.
        engines: what hears, thinks and speaks.
        group: owns every task of the connection.
        end: ends the connection; the first reason wins.
        sleep: how to wait, in seconds.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        outbox: Outbox,
        engines: EngineSet,
        group: asyncio.TaskGroup,
        end: Callable[[Goodbye], None],
        sleep: Sleep,
    ) -> None:
        self.protocol = protocol
        self.outbox = outbox
        self.engines = engines
        self.end = end
        self.sleep = sleep
        self._group = group
        self._tasks: set[asyncio.Task[Any]] = set()

    def flush(self) -> None:
        """Hand what the machine queued to the writer. A client that does not read is cut off."""
        try:
            self.outbox.put(self.protocol.data_to_send())
        except SlowConsumer:
            self.end(SLOW_CONSUMER)

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start a task that ends with the connection at the latest."""
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel_all(self) -> None:
        """Cancel every task; the group waits for them."""
        for task in self._tasks:
            task.cancel()
