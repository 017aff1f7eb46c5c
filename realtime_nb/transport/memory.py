"""Two transports wired to each other in one process, for tests and for servers without a socket."""

from __future__ import annotations

import asyncio

from realtime_nb.errors import ConnectionLost

from .base import NORMAL_CLOSE_CODE, connection_lost

QUEUE_FRAMES = 4096


class MemoryTransport:
    """One end of a pair made by `memory_pair`."""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[str | ConnectionLost] = asyncio.Queue(QUEUE_FRAMES)
        self._peer: MemoryTransport | None = None
        self._ended: ConnectionLost | None = None

    async def send(self, frame: str) -> None:
        """Send one text frame. See `Transport.send`."""
        if self._ended is not None or self._peer is None:
            raise self._ended or connection_lost(NORMAL_CLOSE_CODE, "")
        await self._peer._incoming.put(frame)

    async def receive(self) -> str | bytes:
        """Wait for the next frame. See `Transport.receive`."""
        if self._ended is not None and self._incoming.empty():
            raise self._ended
        frame = await self._incoming.get()
        if isinstance(frame, ConnectionLost):
            self._ended = frame
            raise frame
        return frame

    async def aclose(self, code: int = NORMAL_CLOSE_CODE, reason: str = "") -> None:
        """Close both ends. See `Transport.aclose`."""
        self.cut(code, reason)

    def cut(self, code: int = 1006, reason: str = "") -> None:
        """Break the connection now; frames already sent still arrive."""
        for end in (self, self._peer):
            if end is not None and end._ended is None:
                lost = connection_lost(code, reason)
                end._ended = lost
                if not end._incoming.full():
                    end._incoming.put_nowait(lost)


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Return two connected ends."""
    left, right = MemoryTransport(), MemoryTransport()
    left._peer, right._peer = right, left
    return left, right
