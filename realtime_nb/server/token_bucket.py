"""Tokens per minute, as a bucket that fills all the time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_PER_MINUTE = 60.0


class TokenBucket:
    """What all sessions of a server may use together. It can be overdrawn: a reply's length is known at its end.

    Args:
        tokens_per_minute: how much it holds, and how much flows in every minute.
        clock: seconds, monotonic.
    """

    def __init__(self, tokens_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.tokens_per_minute = tokens_per_minute
        self._clock = clock
        self._level = float(tokens_per_minute)
        self._filled_at = clock()

    @property
    def remaining(self) -> int:
        """What can be used now, never below 0."""
        return max(0, int(self._fill()))

    @property
    def reset_seconds(self) -> float:
        """How long until it is full again if nothing more is used."""
        return self.wait_seconds(self.tokens_per_minute)

    def wait_seconds(self, tokens: int) -> float:
        """Return how long until so many tokens are there; 0 when they are."""
        missing = min(tokens, self.tokens_per_minute) - self._fill()
        return max(0.0, missing * SECONDS_PER_MINUTE / self.tokens_per_minute)

    def take(self, tokens: int) -> None:
        """Use tokens, whether they are there or not."""
        self._level = self._fill() - tokens

    def _fill(self) -> float:
        now = self._clock()
        inflow = (now - self._filled_at) * self.tokens_per_minute / SECONDS_PER_MINUTE
        self._level = min(float(self.tokens_per_minute), self._level + inflow)
        self._filled_at = now
        return self._level
