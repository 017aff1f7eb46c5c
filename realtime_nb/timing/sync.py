"""Tie a far clock (the browser's) to ours by ping exchanges, with a stated error.

A ping leaves at `sent_ms` (ours), is read and answered at `far_ms` (theirs), and is back at `received_ms` (ours).
If both ways take equally long, the far clock showed `far_ms` at the midpoint; at worst one way took all of the round
trip, so the offset is wrong by at most half of it. The quickest exchange of the last while is therefore the truest.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

DEFAULT_WINDOW_MS = 60_000.0
MAX_EXCHANGES = 256


class Exchange(NamedTuple):
    """One ping, there and back."""

    sent_ms: float
    far_ms: float
    received_ms: float

    @property
    def round_trip_ms(self) -> float:
        """How long it took, on our clock."""
        return self.received_ms - self.sent_ms

    @property
    def offset_ms(self) -> float:
        """Far clock minus ours, by the midpoint."""
        return self.far_ms - (self.sent_ms + self.received_ms) / 2


class ClockSync:
    """Knows a far clock's offset from the best recent exchange.

    Exchanges older than the window are forgotten (clocks drift), except the newest one; at most 256 are kept.
    """

    def __init__(self, window_ms: float = DEFAULT_WINDOW_MS) -> None:
        self.window_ms = window_ms
        self._exchanges: deque[Exchange] = deque(maxlen=MAX_EXCHANGES)

    def add(self, sent_ms: float, far_ms: float, received_ms: float) -> bool:
        """Take in an exchange. False, and no change, if it cannot be true (back before it left, or not finite)."""
        exchange = Exchange(sent_ms, far_ms, received_ms)
        if not 0 <= exchange.round_trip_ms < float("inf") or not abs(far_ms) < float("inf"):
            return False
        self._exchanges.append(exchange)
        while len(self._exchanges) > 1 and self._exchanges[0].received_ms < received_ms - self.window_ms:
            self._exchanges.popleft()
        return True

    @property
    def synced(self) -> bool:
        """Whether there was an exchange yet."""
        return bool(self._exchanges)

    @property
    def best(self) -> Exchange | None:
        """The quickest recent exchange, the newest of equals."""
        return min(reversed(self._exchanges), key=lambda exchange: exchange.round_trip_ms, default=None)

    @property
    def offset_ms(self) -> float:
        """Far clock minus ours. Raises `LookupError` before the first exchange."""
        return self._known().offset_ms

    @property
    def error_ms(self) -> float:
        """By how much `offset_ms` can be wrong at most, drift aside: half the best round trip. Raises `LookupError`."""
        return self._known().round_trip_ms / 2

    def to_near(self, far_ms: float) -> float:
        """Return our time of a moment on the far clock. Raises `LookupError`."""
        return far_ms - self.offset_ms

    def to_far(self, near_ms: float) -> float:
        """Return the far clock's time of a moment on ours. Raises `LookupError`."""
        return near_ms + self.offset_ms

    def _known(self) -> Exchange:
        best = self.best
        if best is None:
            raise LookupError("no exchange with the far clock yet")
        return best
