"""Round trips of the media link and the map between the browser's clock and ours."""

from __future__ import annotations

import math
from collections import OrderedDict, deque

from realtime_nb.timing.sync import ClockSync

__all__ = ["RoundTrips"]

WINDOW = 50
MAX_UNANSWERED = 64


class RoundTrips:
    """Ping exchanges over the last 50: percentiles, and the browser's clock on ours (see `ClockSync`)."""

    def __init__(self) -> None:
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._round_trips_ms: deque[float] = deque(maxlen=WINDOW)
        self._sync = ClockSync()
        self._next_id = 1

    @property
    def n(self) -> int:
        """Number of exchanges in the window."""
        return len(self._round_trips_ms)

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
        if sent_ms is None or not self._sync.add(sent_ms, time_client_ms, now_ms):
            return None
        self._round_trips_ms.append(now_ms - sent_ms)
        return now_ms - sent_ms

    def percentile(self, fraction: float) -> float:
        """Round trip in ms by nearest rank; 0.0 without samples."""
        ordered = sorted(self._round_trips_ms)
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)] if ordered else 0.0

    @property
    def offset_ms(self) -> float:
        """Our clock minus the browser's, from the fastest exchange."""
        return -self._sync.offset_ms if self._sync.synced else 0.0

    @property
    def offset_error_ms(self) -> float:
        """Bound of the error of `offset_ms`."""
        return self._sync.error_ms if self._sync.synced else math.inf
