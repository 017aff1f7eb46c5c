"""The seam below a session: text frames out, frames in, and an end that says why."""

from __future__ import annotations

from typing import Protocol

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
