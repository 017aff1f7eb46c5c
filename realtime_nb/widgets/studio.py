"""The Studio: talk, listen, read and look at the wire, in one widget."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import traitlets

from realtime_nb.widgets.base import LinkedWidget, bundled
from realtime_nb.widgets.session_port import SessionPort
from realtime_nb.widgets.snapshot import Snapshot
from realtime_nb.widgets.studio_desk import StudioDesk

__all__ = ["Studio"]

READ_TIMEOUT_S = 5.0


class Studio(LinkedWidget):
    """Talk to a model: microphone, clips, text; both waveforms, both transcripts, every event.

    Args:
        session: an open session, or one that is still connecting. It stays open when the Studio closes.
        **connect_options: for `realtime_nb.connect`, when there is no session: the Studio connects on first use and
            closes that session with itself.

    Raises:
        ConfigurationError: the front end is not built, or ipykernel is 7.0.*.
    """

    _esm = bundled("studio.js")
    _css = bundled("studio.css")
    height_px = traitlets.Int(0, help="Height of the widget; 0 lets the front end choose.").tag(sync=True)

    _desk: StudioDesk

    default_connect: ClassVar[Callable[..., Any] | None] = None
    """What connects; the notebook layer puts `realtime_nb.connect` here."""

    def __init__(self, session: Any = None, **connect_options: Any) -> None:
        self._given = session
        self._connect_options = connect_options
        super().__init__()
        self._given = None

    @property
    def session(self) -> SessionPort | None:
        """The session in use, None before the first."""
        return self._desk.session

    def snapshot(self) -> Snapshot:
        """Return transcript, waveforms and events as a static display that survives without a kernel."""
        if self._closing or not self._runtime.running:
            return self._snapshot_now()

        async def taken() -> Snapshot:
            return self._snapshot_now()

        return self._runtime.run(taken(), READ_TIMEOUT_S)

    def _snapshot_now(self) -> Snapshot:
        feed = self._desk.feed
        made_by = " · ".join(word for word in (feed.state.engine, feed.state.model, feed.state.voice) if word)
        title = f"Conversation with {made_by}" if made_by else "Voice studio"
        return Snapshot.of(title, feed.lines, feed.rows, list(self._desk.turns))

    def _static_html(self) -> str:
        return self.snapshot().html

    def _make_desk(self) -> StudioDesk:
        session, connect = self._given, None
        if session is not None and not hasattr(session, "observe") and inspect.isawaitable(session):
            given = session

            async def connect() -> Any:
                return await given

            session = None
        elif session is None:
            maker, options = type(self).default_connect, self._connect_options
            if maker is not None:

                async def connect() -> Any:
                    return await maker(**options)

        return StudioDesk(self._runtime, self.send, session, connect)
