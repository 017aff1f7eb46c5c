"""Frames waiting for the network, bounded in bytes."""

from __future__ import annotations

import asyncio

from realtime_nb.errors import RealtimeError


class SlowConsumer(RealtimeError):
    """The client does not read what it asked for; the connection must end."""


class Outbox:
    """One connection's unsent frames: filled without waiting, emptied by one writer.

    Args:
        room_bytes: `room` waits while more than this is unsent.
        limit_bytes: `put` raises beyond this.
    """

    def __init__(self, *, room_bytes: int, limit_bytes: int) -> None:
        self._room_bytes = room_bytes
        self._limit_bytes = limit_bytes
        self._frames: list[str] = []
        self._unsent_bytes = 0
        self._closed = False
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, frames: list[str]) -> None:
        """Add frames, unless closed.

        Raises:
            SlowConsumer: more than the limit is unsent; the frames are kept all the same.
        """
        if not frames or self._closed:
            return
        self._frames += frames
        self._unsent_bytes += sum(map(len, frames))
        self._filled.set()
        self._empty.clear()
        if self._unsent_bytes > self._room_bytes:
            self._has_room.clear()
        if self._unsent_bytes > self._limit_bytes:
            raise SlowConsumer(
                f"{self._unsent_bytes:,} bytes are unsent; at most {self._limit_bytes:,} are kept.",
                what_now="Read the connection faster.",
            )

    def close(self) -> None:
        """Take nothing more; what is here still goes out. Closing twice is fine."""
        self._closed = True

    async def take(self) -> list[str]:
        """Wait for frames and return all. Call `sent` for each one that went out. Cancellation-safe."""
        await self._filled.wait()
        frames, self._frames = self._frames, []
        self._filled.clear()
        return frames

    def sent(self, frame: str) -> None:
        """Note that a taken frame is on the wire."""
        self._unsent_bytes -= len(frame)
        if self._unsent_bytes <= self._room_bytes:
            self._has_room.set()
        if not self._unsent_bytes:
            self._empty.set()

    async def room(self) -> None:
        """Wait until little enough is unsent for a reply to go on. Cancellation-safe."""
        await self._has_room.wait()

    async def drained(self) -> None:
        """Wait until everything is on the wire. Cancellation-safe."""
        await self._empty.wait()
