"""Clocks that only go forward, in milliseconds."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Something that tells a monotonic time; tests bring their own."""

    def now_ms(self) -> float:
        """Return the milliseconds since a fixed moment of this clock's own."""
        ...


def monotonic_ms() -> float:
    """Return the machine's monotonic time in ms; the same clock in every thread and process of this machine."""
    return time.monotonic_ns() / 1e6


class MonotonicClock:
    """The machine's monotonic clock, counted from when this object was made."""

    def __init__(self) -> None:
        self.origin_ms = monotonic_ms()

    def now_ms(self) -> float:
        """Return the milliseconds since this object was made."""
        return monotonic_ms() - self.origin_ms
