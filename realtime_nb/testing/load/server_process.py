"""The server's own process, if it runs on this machine: its memory and its processor time."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from realtime_nb.testing.load.figures import Memory


class ServerProcess:
    """Watches whoever listens on a port here, and the children it has by now. Make one with `find`."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self._family = [process, *process.children(recursive=True)]
        self._before_mb = self._peak_mb = self._rss_mb()
        self._cpu_s = self._used_s()
        self._waited_s = self._waiting_s()

    @classmethod
    def find(cls, url: str) -> ServerProcess | None:
        """Return the process behind a base URL, None if it is elsewhere, not ours to see, or psutil is missing."""
        try:
            import psutil
        except ImportError:
            return None
        parts = urlsplit(url)
        if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            return None
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        try:
            listening = [
                one
                for one in psutil.net_connections(kind="tcp")
                if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
            ]
            return cls(psutil.Process(listening[0].pid)) if listening else None
        except psutil.Error:
            return None

    def look(self) -> None:
        """Take a sample of its memory."""
        self._peak_mb = max(self._peak_mb, self._rss_mb())

    def report(self, duration_s: float) -> Memory:
        """Return what was seen over a run of so many seconds."""
        return Memory(
            pid=self._process.pid,
            before_mb=round(self._before_mb, 1),
            peak_mb=round(self._peak_mb, 1),
            cpu_cores=round((self._used_s() - self._cpu_s) / duration_s, 3),
            waited_cores=round((self._waiting_s() - self._waited_s) / duration_s, 3),
        )

    def _rss_mb(self) -> float:
        return sum(self._read(one, lambda p: p.memory_info().rss) for one in self._family) / 1e6

    def _used_s(self) -> float:
        return sum(self._read(one, lambda p: sum(p.cpu_times()[:2])) for one in self._family)

    def _waiting_s(self) -> float:
        """How long its main thread was ready to run and had no processor; 0 where the system does not say."""
        try:
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text("ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    @staticmethod
    def _read(process: Any, what: Any) -> float:
        import psutil

        try:
            return float(what(process))
        except psutil.Error:
            return 0.0
