"""The seam below a session: text frames out, frames in, and an end that says why."""

from __future__ import annotations

from typing import Protocol

from realtime_nb.errors import ConnectionLost

NORMAL_CLOSE_CODE = 1000


class Transport(Protocol):
    """One open connection that carries whole frames in order."""

    async def send(self, frame: str) -> None:
        """Send one text frame, waiting while the peer does not read.

        Raises:
            ConnectionLost: the connection ended.
        """
        ...

    async def receive(self) -> str | bytes:
        """Wait for the next frame. Cancelling is safe: no frame is lost.

        Raises:
            ConnectionLost: the connection ended, well (`code` 1000) or not.
        """
        ...

    async def aclose(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close. Closing twice is fine; a peer that does not answer is given up on after two seconds."""
        ...


def connection_lost(code: int, reason: str) -> ConnectionLost:
    """Return the error for a connection that ended with this close code."""
    if code == NORMAL_CLOSE_CODE:
        return ConnectionLost("The connection was closed.", code=code, reason=reason)
    said = f" ({reason})" if reason else ""
    return ConnectionLost(
        f"The connection to the server broke, code {code}{said}.",
        code=code,
        reason=reason,
        what_now="Everything received so far is kept; connect again to go on.",
    )
