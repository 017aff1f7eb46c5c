"""Every frame in both directions, in order, bounded, with what had to be dropped counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

MAX_EVENTS = 50_000
MAX_BYTES = 96 * 1024 * 1024

Direction = Literal["sent", "received"]


class LoggedEvent(msgspec.Struct, frozen=True):
    """One wire event.

    Attributes:
        sequence: counts from 0 over the session.
        time_ms: on the session's clock.
        direction: "sent" or "received".
        event_type: the wire's `type`.
        frame: the text as it went over the wire.
    """

    sequence: int
    time_ms: float
    direction: Direction
    event_type: str
    frame: str

    @property
    def event(self) -> dict[str, Any]:
        """The frame as a dict, decoded anew at each call; `{"raw": …}` when it was not JSON."""
        try:
            value = msgspec.json.decode(self.frame)
        except msgspec.DecodeError:
            return {"raw": self.frame}
        return value if isinstance(value, dict) else {"raw": value}

    def __repr__(self) -> str:
        arrow = "→" if self.direction == "sent" else "←"
        return f"<{self.sequence} {self.time_ms:.0f} ms {arrow} {self.event_type}, {len(self.frame)} chars>"


class EventLog:
    """The bounded log of one session. Appended on the session's loop, readable from any thread."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._events: deque[LoggedEvent] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._next = 0

    @property
    def dropped(self) -> int:
        """How many of the oldest events are no longer held."""
        return self._next - len(self._events)

    def append(self, time_ms: float, direction: Direction, event_type: str, frame: str) -> LoggedEvent:
        """Add an event; the oldest go when a bound is reached."""
        event = LoggedEvent(self._next, time_ms, direction, event_type, frame)
        self._next += 1
        self._events.append(event)
        self._bytes += len(frame)
        while len(self._events) > self._max_events or (self._bytes > self._max_bytes and len(self._events) > 1):
            self._bytes -= len(self._events.popleft().frame)
        return event

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[LoggedEvent]:
        return iter(tuple(self._events))

    def __getitem__(self, sequence: int) -> LoggedEvent:
        """Return the event numbered `sequence`; KeyError when it was dropped or has not happened."""
        events = tuple(self._events)
        position = sequence - (events[0].sequence if events else 0)
        if not 0 <= position < len(events):
            raise KeyError(sequence)
        return events[position]

    def since(self, sequence: int) -> tuple[list[LoggedEvent], int]:
        """Return the events from `sequence` on, and how many of those wanted were already dropped."""
        events = [event for event in tuple(self._events) if event.sequence >= sequence]
        first = events[0].sequence if events else max(sequence, self._next)
        return events, max(0, first - sequence)

    def __repr__(self) -> str:
        return f"<EventLog: {len(self)} events, {self.dropped} dropped>"
