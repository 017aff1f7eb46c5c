"""The Studio as notebooks get it: it connects by itself, by `realtime_nb.connect`."""

from __future__ import annotations

from typing import Any

from realtime_nb.notebook.connect import Connecting, connect
from realtime_nb.widgets import studio

__all__ = ["Studio"]


def _connect_quietly(**options: Any) -> Connecting:
    return connect(**{"quiet": True, **options})


class Studio(studio.Studio):
    """Talk to a model: microphone, clips, text; both waveforms, both transcripts, every event.

    Args:
        session: an open session, or one that is still connecting. It stays open when the Studio closes.
        **connect_options: for `realtime_nb.connect`, when there is no session: the Studio connects on first use and
            closes that session with itself.

    Raises:
        ConfigurationError: the front end is not built, or ipykernel is 7.0.*.
    """

    default_connect = staticmethod(_connect_quietly)
