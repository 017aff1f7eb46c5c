"""An event loop on a virtual clock: sleeping takes no time, so that hours of waiting are tested in a moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

DEADLOCK_S = 10.0


class Deadlock(RuntimeError):
    """Nothing is ready, nothing is due, and nobody outside woke the loop."""


class _Selector(selectors.BaseSelector):
    """Asks the real selector without waiting; where asyncio would wait, the clock jumps."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            ready = self._real.select(DEADLOCK_S)
            if not ready:
                raise Deadlock("The loop waits for something that nobody will do.")
            return ready
        ready = self._real.select(0)
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """A loop whose `time` jumps to the next timer whenever nothing else is to be done.

    For code that talks over memory (`realtime_nb.transport.memory`). Work in threads is not waited for: a timer may be
    due first. `monotonic` and `monotonic_ns` stand in for those of the `time` module.
    """

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._clock.now_s

    def monotonic(self) -> float:
        """Return virtual seconds, as `time.monotonic`."""
        return self._clock.now_s

    def monotonic_ns(self) -> int:
        """Return virtual nanoseconds, as `time.monotonic_ns`."""
        return round(self._clock.now_s * 1e9)


__all__ = ["Deadlock", "VirtualClockLoop"]
