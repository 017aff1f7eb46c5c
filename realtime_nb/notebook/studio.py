"""The Studio as notebooks get it: it connects by itself, by `realtime_nb.connect`."""

from __future__ import annotations

from typing import Any

from realtime_nb.notebook.connect import Connecting, connect
from realtime_nb.widgets import studio

__all__ = ["Studio"]


def _connect_quietly(**options: Any) -> Connecting:
    return connect(**{"quiet": True, **options})


class Studio(studio.Studio):
    __doc__ = studio.Studio.__doc__
    default_connect = staticmethod(_connect_quietly)
