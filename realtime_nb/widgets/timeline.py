"""Where the time of a turn went, stage by stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import traitlets

from realtime_nb.errors import RealtimeError
from realtime_nb.runtime import runtime
from realtime_nb.widgets.base import BundledWidget, bundled
from realtime_nb.widgets.cell_ties import tie_to_cell
from realtime_nb.widgets.loops import hand_to
from realtime_nb.widgets.timeline_picture import waterfall_html
from realtime_nb.widgets.timeline_rows import TimelineRow
from realtime_nb.widgets.timeline_sources import rows_of, turn_row

__all__ = ["Timeline"]

KEPT_TURNS = 100
MAX_STATIC_TURNS = 8
SETTLE_S = 2.0
"""The loudspeaker's word about a turn may come after its end; the turn is read once more then."""


class Timeline(BundledWidget):
    """The waterfall of a turn: every stage with its unit and error, what no stage explains, what could not be measured.

    Each stage says what it is when it is pointed at or reached with the keyboard. Of several turns one is chosen from
    a list; a session's new turns appear as they end. Needs no kernel once shown.

    Args:
        source: a timeline, a turn, a list of them, a `Recording`, or an open session to follow.
        title: shown above.
        made_by: which engine answered, where the source does not say.

    Raises:
        ConfigurationError: the source has no timeline, the front end is not built, or ipykernel is 7.0.*.
    """

    _esm = bundled("timeline.js")
    _css = bundled("timeline.css")
    turns: traitlets.List[Any] = traitlets.List(help="Dicts of TimelineRow, the last 100.").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(self, source: Any, *, title: str = "", made_by: str = "") -> None:
        self._made_by = made_by or getattr(getattr(source, "manifest", None), "engine", "")
        self._rows: deque[TimelineRow] = deque(maxlen=KEPT_TURNS)
        self._unsubscribe: Callable[[], None] | None = None
        self._session = source if hasattr(source, "observe") else None
        found = rows_of(source) if self._session is None else _session_rows(source)
        self._rows.extend(self._named(row) for row in found)
        super().__init__(turns=self._built(), title=title)
        if self._session is not None:
            self._loop = runtime().loop
            self._unsubscribe = source.observe(self)
        tie_to_cell(self)

    def on_turn(self, turn: Any) -> None:
        """A turn of the session has ended; may be called on any thread."""
        hand_to(self._loop, self._take, turn)

    def close(self) -> None:
        """Stop following the session and remove the views. Idempotent."""
        unsubscribe, self._unsubscribe = getattr(self, "_unsubscribe", None), None
        if unsubscribe is not None:
            unsubscribe()
        super().close()

    def _take(self, turn: Any) -> None:
        row = self._row_of(turn)
        if row is None or self._unsubscribe is None:
            return
        self._rows.append(row)
        self.turns = self._built()
        self._loop.call_later(SETTLE_S, self._settle, turn, row)

    def _settle(self, turn: Any, former: TimelineRow) -> None:
        row = self._row_of(turn)
        if row is None or row == former or self._unsubscribe is None:
            return
        self._rows = deque((row if each is former else each for each in self._rows), maxlen=KEPT_TURNS)
        self.turns = self._built()

    def _row_of(self, turn: Any) -> TimelineRow | None:
        try:
            return self._named(turn_row(turn))
        except RealtimeError:
            return None

    def _named(self, row: TimelineRow) -> TimelineRow:
        made_by = row.made_by or self._made_by or getattr(self._session, "engine", "")
        return msgspec.structs.replace(row, made_by=made_by)

    def _built(self) -> list[Any]:
        return msgspec.to_builtins(list(self._rows))

    def _static_html(self) -> str:
        rows = list(self._rows)
        earlier = f"<p>{len(rows) - MAX_STATIC_TURNS} earlier turns are not shown.</p>"
        shown = "".join(waterfall_html(row) for row in rows[-MAX_STATIC_TURNS:]) or "<p><i>No turn yet.</i></p>"
        return (earlier if len(rows) > MAX_STATIC_TURNS else "") + shown


def _session_rows(session: Any) -> list[TimelineRow]:
    rows = []
    for turn in list(session.history):
        try:
            rows.append(turn_row(turn))
        except (RealtimeError, AttributeError):
            continue
    return rows
