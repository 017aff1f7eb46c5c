"""Turns what a session does into link messages, batched at most 20 times a second."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from realtime_nb.widgets import messages
from realtime_nb.widgets.event_rows import event_row
from realtime_nb.widgets.loops import hand_to
from realtime_nb.widgets.session_port import (
    LoggedEventPort,
    RecordingPort,
    RegionPort,
    SessionPort,
    ToolCallPort,
    TranscriptLinePort,
)

__all__ = ["SessionFeed"]

BATCH_INTERVAL_S = 0.05
KEPT_EVENTS = 1_000
KEPT_LINES = 1_000
KEPT_REGIONS = 500
KEPT_CALLS = 200
MAX_CALL_CHARACTERS = 4_000
TurnDetection = Literal["server_vad", "semantic_vad", "none"]


class SessionFeed:
    """Observer of a session that keeps the last 1000 events and lines and publishes changes.

    The observer methods may be called on any thread; everything else happens on `loop`.

    Args:
        loop: the runtime loop.
        publish: gets each message for all views, on `loop`.
        on_turn: called with each finished turn, on `loop`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        publish: Callable[[messages.Message], None],
        on_turn: Callable[[Any], None] = lambda turn: None,
    ) -> None:
        self.state = messages.SessionState(state="idle")
        self._loop = loop
        self._publish = publish
        self._on_turn = on_turn
        self._session: SessionPort | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._rows: deque[messages.EventRow] = deque(maxlen=KEPT_EVENTS)
        self._new_rows: deque[messages.EventRow] = deque(maxlen=KEPT_EVENTS)
        self._dropped = self._new_dropped = 0
        self._lines: dict[str, messages.TranscriptEntry] = {}
        self._new_lines: dict[str, messages.TranscriptEntry] = {}
        self._regions: dict[str, messages.RegionRow] = {}
        self._new_regions: dict[str, messages.RegionRow] = {}
        self._calls: dict[str, messages.ToolCallRow] = {}
        self._new_calls: dict[str, messages.ToolCallRow] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._responding = self._playing = False

    @property
    def rows(self) -> list[messages.EventRow]:
        """The last events, oldest first."""
        return list(self._rows)

    @property
    def lines(self) -> list[messages.TranscriptEntry]:
        """The transcript so far, in order."""
        return sorted(self._lines.values(), key=lambda line: line.order)

    def attach(self, session: SessionPort) -> None:
        """Observe a session from now on; its past events are taken in, the former session's are forgotten."""
        self.detach()
        for rows in (self._rows, self._new_rows):
            rows.clear()
        for kept in (self._lines, self._regions, self._calls, self._new_lines, self._new_regions, self._new_calls):
            kept.clear()
        self._session = session
        self._responding = False
        past, self._dropped = session.events.since(0)
        self._unsubscribe = session.observe(self)
        for logged in list(past)[-KEPT_EVENTS:]:
            self._take_event(logged)
        for line in session.transcript:
            self.on_transcript(line)
        for region in session.regions:
            self.on_region(region)
        for call in session.tool_calls:
            self.on_tool_call(call)
        self.refresh_state()

    def detach(self) -> None:
        """Stop observing; what was seen stays."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._session = None

    def replay(self) -> list[messages.Message]:
        """What a view that comes late must be told."""
        told: list[messages.Message] = [self.state]
        if self._lines:
            told.append(messages.TranscriptUpdate(entries=self.lines))
        if self._regions:
            told.append(messages.Regions(regions=list(self._regions.values())))
        if self._calls:
            told.append(messages.ToolCalls(calls=list(self._calls.values())))
        if self._rows or self._dropped:
            told.append(messages.Events(rows=self.rows, dropped=self._dropped))
        return told

    def set_playing(self, playing: bool) -> None:
        """Say whether the answer is still being heard."""
        self._playing = playing
        self.refresh_state()

    def refresh_state(self, **override: Any) -> None:
        """Publish the session's state if it changed; `override` replaces fields (an error without a session)."""
        session = self._session
        if session is not None:
            reason = session.closed_reason
            fields: dict[str, Any] = {
                "state": session.state,
                "endpoint": session.endpoint,
                "engine": session.engine,
                "model": session.model or "",
                "voice": _voice(session.config),
                "turn_detection": _turn_detection(session.config),
                "speaking": session.state == "connected" and (self._responding or self._playing),
                "recording": _recording(session.recordings),
                "error": reason.message if reason is not None else "",
                "what_now": reason.what_now if reason is not None else "",
            }
        else:
            fields = {"state": self.state.state}
        state = messages.SessionState(**{**fields, **override})
        if state != self.state:
            self.state = state
            self._publish(state)

    def on_state(self, state: str) -> None:
        """Observer: the session's state changed."""
        self._hand(self.refresh_state)

    def on_event(self, logged: LoggedEventPort) -> None:
        """Observer: an event went over the wire."""
        self._hand(self._take_event, logged)

    def on_transcript(self, line: TranscriptLinePort) -> None:
        """Observer: a transcript line is new or changed."""
        entry = messages.TranscriptEntry(
            item_id=line.item_id,
            order=line.order,
            role=line.role,
            text=line.text,
            final=line.final,
            heard_characters=line.heard_characters,
            status=line.status,
        )
        self._hand(self._keep, self._lines, self._new_lines, entry.item_id, entry, KEPT_LINES)

    def on_region(self, region: RegionPort) -> None:
        """Observer: a region opened or closed."""
        row = messages.RegionRow(
            region_id=region.region_id,
            lane=region.lane,
            kind=region.kind,
            start_ms=region.start_ms,
            end_ms=region.end_ms,
        )
        self._hand(self._keep, self._regions, self._new_regions, row.region_id, row, KEPT_REGIONS)

    def on_tool_call(self, call: ToolCallPort) -> None:
        """Observer: a function is called, waits for approval, or has ended."""
        row = messages.ToolCallRow(
            call_id=call.call_id,
            item_id=call.item_id,
            name=call.name,
            arguments=_cut(call.arguments),
            status=call.status,
            output=_cut(call.output),
            error=_cut(call.error),
            duration_ms=call.duration_ms,
        )
        self._hand(self._keep, self._calls, self._new_calls, row.call_id, row, KEPT_CALLS)

    def on_turn(self, turn: Any) -> None:
        """Observer: a turn is complete."""
        self._hand(self._on_turn, turn)

    def on_recording(self) -> None:
        """Observer: a recording began, ended or failed."""
        self._hand(self.refresh_state)

    def on_notice(self, level: Literal["info", "warning", "error"], message: str, what_now: str = "") -> None:
        """Observer: the user should know something."""
        self._hand(self._publish, messages.Notice(level=level, message=message, what_now=what_now))

    def _hand(self, function: Callable[..., None], *arguments: Any) -> None:
        hand_to(self._loop, function, *arguments)

    def _take_event(self, logged: LoggedEventPort) -> None:
        if len(self._rows) == KEPT_EVENTS:
            self._dropped += 1
        if len(self._new_rows) == KEPT_EVENTS:
            self._new_dropped += 1
        row = event_row(logged)
        self._rows.append(row)
        self._new_rows.append(row)
        responding = {"response.created": True, "response.done": False}.get(logged.event_type, self._responding)
        if responding != self._responding or logged.event_type in ("session.created", "session.updated"):
            self._responding = responding
            self.refresh_state()
        self._schedule()

    def _keep(self, kept: dict[str, Any], new: dict[str, Any], key: str, value: Any, limit: int) -> None:
        kept[key] = new[key] = value
        while len(kept) > limit:
            kept.pop(next(iter(kept)))
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(BATCH_INTERVAL_S, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._new_lines:
            entries = sorted(self._new_lines.values(), key=lambda line: line.order)
            self._new_lines.clear()
            self._publish(messages.TranscriptUpdate(entries=entries))
        if self._new_regions:
            regions = list(self._new_regions.values())
            self._new_regions.clear()
            self._publish(messages.Regions(regions=regions))
        if self._new_calls:
            calls = list(self._new_calls.values())
            self._new_calls.clear()
            self._publish(messages.ToolCalls(calls=calls))
        if self._new_rows:
            rows, dropped = list(self._new_rows), self._new_dropped
            self._new_rows.clear()
            self._new_dropped = 0
            self._publish(messages.Events(rows=rows, dropped=dropped))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CALL_CHARACTERS else f"{text[:MAX_CALL_CHARACTERS]}… ({len(text)} characters)"


def _recording(recordings: Sequence[RecordingPort]) -> messages.RecordingRow | None:
    """Return the newest recording that goes on, else the newest."""
    if not recordings:
        return None
    shown = max(enumerate(recordings), key=lambda one: (one[1].writing, one[0]))[1]
    failure = shown.failure
    if failure is None:
        return messages.RecordingRow(folder=str(shown.path), state="writing" if shown.writing else "ended")
    full = failure.errno in (errno.ENOSPC, errno.EDQUOT)
    problem = "the disk is full" if full else (failure.strerror or str(failure)).lower()
    return messages.RecordingRow(folder=str(shown.path), state="failed", problem=problem)


def _path(config: Any, *names: str) -> Any:
    for name in names:
        config = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
    return config


def _voice(config: Any) -> str:
    voice = _path(config, "audio", "output", "voice") or _path(config, "voice")
    return voice if isinstance(voice, str) else ""


def _turn_detection(config: Any) -> TurnDetection:
    detection = _path(config, "audio", "input", "turn_detection")
    kind = detection if isinstance(detection, str) else _path(detection, "type")
    tag = kind or getattr(getattr(type(detection), "__struct_config__", None), "tag", None)
    known: dict[Any, TurnDetection] = {"server_vad": "server_vad", "semantic_vad": "semantic_vad"}
    return known.get(tag, "none")
