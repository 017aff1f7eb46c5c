"""Every wire event of a session, or of a list of events, to filter and open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import traitlets

from realtime_nb.runtime import Runtime
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import Desk, LinkedWidget, bundled
from realtime_nb.widgets.event_queries import EventQueries
from realtime_nb.widgets.event_rows import event_row
from realtime_nb.widgets.link_client import LinkClient
from realtime_nb.widgets.loops import hand_to
from realtime_nb.widgets.session_feed import KEPT_EVENTS, SessionFeed
from realtime_nb.widgets.session_port import LoggedEventPort, SessionPort
from realtime_nb.widgets.snapshot import event_table_html

__all__ = ["EventInspector"]


class InspectorDesk(Desk):
    """The EventInspector on the runtime loop."""

    def __init__(
        self,
        engine_room: Runtime,
        send: Callable[..., None],
        session: SessionPort | None,
        events: Sequence[LoggedEventPort],
    ) -> None:
        super().__init__(engine_room, send)
        self._session = session
        self._events = {logged.sequence: logged for logged in events}
        self._fixed_rows = [event_row(logged) for logged in list(events)[-KEPT_EVENTS:]]
        self._feed = SessionFeed(engine_room.loop, self._publish)
        if session is not None:
            hand_to(engine_room.loop, self._feed.attach, session)
        self._commands |= EventQueries(self._find, lambda: self._session and self._session.config).commands

    @property
    def rows(self) -> list[messages.EventRow]:
        """What it shows."""
        return self._fixed_rows or self._feed.rows

    def on_join(self, client: LinkClient) -> None:
        """Replay."""
        told = self._feed.replay()
        if self._fixed_rows:
            dropped = len(self._events) - len(self._fixed_rows)
            told = [messages.Events(rows=self._fixed_rows, dropped=dropped)]
        for message in told:
            if isinstance(message, messages.Events):
                client.send(message)

    async def close(self) -> None:
        """Stop observing and end the link."""
        self._feed.detach()
        self._session = None
        await super().close()

    def _publish(self, message: messages.Message) -> None:
        if self._link is not None and isinstance(message, messages.Events):
            self._link.broadcast(message)

    def _find(self, sequence: int) -> LoggedEventPort:
        return self._session.events[sequence] if self._session is not None else self._events[sequence]


class EventInspector(LinkedWidget):
    """Look at wire events: filter by type and direction, search, open as JSON, play their audio.

    Args:
        session_or_events: a session, whose events appear as they happen, or logged events.
    """

    _esm = bundled("inspector.js")
    _css = bundled("inspector.css")
    _desk: InspectorDesk
    height_px = traitlets.Int(0, help="Height of the widget; 0 lets the front end choose.").tag(sync=True)

    def __init__(self, session_or_events: SessionPort | Iterable[LoggedEventPort]) -> None:
        self._source: Any = session_or_events
        super().__init__()
        self._source = None

    def _make_desk(self) -> InspectorDesk:
        if hasattr(self._source, "observe"):
            return InspectorDesk(self._runtime, self.send, self._source, ())
        return InspectorDesk(self._runtime, self.send, None, list(self._source))

    def _static_html(self) -> str:
        return event_table_html(self._desk.rows)
