"""Round trips of the media link and the map between the browser's clock and ours."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque

__all__ = ["RoundTrips", "monotonic_ms"]

WINDOW = 50
MAX_UNANSWERED = 64


def monotonic_ms() -> float:
    """Milliseconds of the process's monotonic clock."""
    return time.perf_counter() * 1000.0


class RoundTrips:
    """Ping exchanges over the last 50: percentiles, and the clock offset by the midpoint of the fastest exchange.

    The fastest exchange bounds the error: the browser read its clock somewhere between our two readings, so the
    midpoint is wrong by at most half of that round trip.
    """

    def __init__(self) -> None:
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._samples: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._next_id = 1

    @property
    def n(self) -> int:
        """Number of exchanges in the window."""
        return len(self._samples)

    def ping(self, now_ms: float) -> int:
        """Note that a ping leaves now; returns its id. At most 64 unanswered ones are kept."""
        ping_id, self._next_id = self._next_id, self._next_id + 1
        self._sent[ping_id] = now_ms
        while len(self._sent) > MAX_UNANSWERED:
            self._sent.popitem(last=False)
        return ping_id

    def pong(self, ping_id: int, time_client_ms: float, now_ms: float) -> float | None:
        """Note an answer; returns its round trip in ms, or None when no such ping is open."""
        sent_ms = self._sent.pop(ping_id, None)
        if sent_ms is None or not math.isfinite(time_client_ms):
            return None
        round_trip_ms = now_ms - sent_ms
        self._samples.append((round_trip_ms, (sent_ms + now_ms) / 2.0 - time_client_ms))
        return round_trip_ms

    def percentile(self, fraction: float) -> float:
        """Round trip in ms by nearest rank; 0.0 without samples."""
        ordered = sorted(round_trip_ms for round_trip_ms, _ in self._samples)
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)] if ordered else 0.0

    @property
    def offset_ms(self) -> float:
        """Our clock minus the browser's, from the fastest exchange."""
        return min(self._samples)[1] if self._samples else 0.0

    @property
    def offset_error_ms(self) -> float:
        """Bound of the error of `offset_ms`."""
        return min(self._samples)[0] / 2.0 if self._samples else math.inf
