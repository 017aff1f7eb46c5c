"""The connections of a recording: a session that broke and came back has more than one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from realtime_nb.errors import ConfigurationError
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.server_events import SessionCreated
from realtime_nb.recording.format import Mark
from realtime_nb.recording.index import AUDIO_DELTA, RECEIVED
from realtime_nb.session.reconnect import StateRestored

if TYPE_CHECKING:
    from .reader import Recording

GREETING = "session.created"
BROKE = 1006


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One connection of a session, on the session's clock.

    Attributes:
        first: its first entry in the events file; it ends where the next one begins.
        began_ms: when the server greeted, or its first event.
        lost_ms: when it broke; None where it lasted until the session's end.
        code: the close code it broke with, 1006 when unknown.
        reason: what the server said of it, may be empty.
        restored: what was rebuilt when it began, only the gap where the recording does not say; None for the first.
    """

    first: int
    began_ms: float
    lost_ms: float | None = None
    code: int = BROKE
    reason: str = ""
    restored: StateRestored | None = None


def connections(recording: Recording) -> list[Connection]:
    """Return the connections in order; one at least, unless nothing was recorded. Reads greetings and marks only."""
    file = recording.event_file
    times_ms = (file.entries["time_ns"] / 1e6).tolist()
    if not times_ms:
        return []
    marks = sorted(recording.marks(), key=lambda mark: mark.time_ns)
    greeted = file.of_type(GREETING)
    lost = [mark for mark in marks if mark.name == "lost"]
    if not greeted or any(mark.time_ns / 1e6 <= times_ms[greeted[0]] for mark in lost):
        greeted.insert(0, 0)  # its own greeting was no longer known when the recording began
    else:
        greeted[0] = 0
    found: list[Connection] = []
    for first, after in zip(greeted, [*greeted[1:], None], strict=True):
        began_ms = times_ms[first]
        ended_ms = float("inf") if after is None else times_ms[after]
        here = [mark for mark in marks if began_ms <= mark.time_ns / 1e6 <= ended_ms]
        broke = next((mark for mark in here if mark.name == "lost"), None)
        lost_ms = broke.time_ns / 1e6 if broke is not None else None if after is None else times_ms[after - 1]
        found.append(
            Connection(
                first=first,
                began_ms=began_ms,
                lost_ms=lost_ms,
                code=_whole(broke, "code", BROKE),
                reason=str(broke.details.get("reason", "")) if broke is not None else "",
                restored=_restored(here, began_ms - (found[-1].lost_ms or began_ms)) if found else None,
            )
        )
    return found


def _whole(mark: Mark | None, name: str, otherwise: int) -> int:
    value = mark.details.get(name) if mark is not None else None
    return value if isinstance(value, int) else otherwise


def _restored(marks: list[Mark], gap_ms: float) -> StateRestored:
    mark = next((mark for mark in marks if mark.name == "restored"), None)
    with contextlib.suppress(msgspec.ValidationError):
        if mark is not None:
            return msgspec.convert(mark.details, StateRestored)
    nothing = dict.fromkeys(("items", "items_lost", "spoken_as_text"), 0)
    return StateRestored(gap_ms=gap_ms, attempts=1, **nothing, microphone_kept_ms=0.0, microphone_dropped_ms=0.0)


def greeting(recording: Recording) -> tuple[str, int]:
    """Return a server's first words, and the entry with which the rest begins.

    They are made up where the recording begins later than the session.

    Raises:
        ConfigurationError: the recording holds nothing that a server said.
    """
    file = recording.event_file
    if not len(file.of_kind(RECEIVED, AUDIO_DELTA)):
        raise ConfigurationError(
            f"{recording.path} holds nothing that a server said.",
            what_now="Choose the recording of a session that was connected.",
        )
    first = file.event(0)
    if first is not None and (first.event or {}).get("type") == GREETING:
        frame = msgspec.json.encode(first.event).decode()
        if isinstance(ClientProtocol().receive(frame), SessionCreated):
            return frame, 1
    known = next(file.events(file.of_type(GREETING, "session.updated")), None)
    settings = (known.event or {}).get("session") if known is not None else None
    session = settings if isinstance(settings, dict) else {"type": "realtime"}
    event = {"type": GREETING, "event_id": "event_made_up", "session": session}
    return msgspec.json.encode(event).decode(), 0
