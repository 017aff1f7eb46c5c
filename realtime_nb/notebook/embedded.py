"""The server inside this process, by the name that notebooks know."""

from __future__ import annotations

from realtime_nb.server.embedded import embedded_server

__all__ = ["embedded_server"]
