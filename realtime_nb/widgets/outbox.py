"""What waits to be sent to one view: bounded, in order, and with audio that can be taken back."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import msgspec

from realtime_nb.widgets import messages

__all__ = ["Outbox", "OutboxFull"]

MAX_AUDIO_BYTES = 180 * 48_000
MAX_AUDIO_CHUNKS = 20_000
MAX_MESSAGES = 2_000
MAX_EVENT_ROWS = 4_000

_encode = msgspec.json.Encoder().encode


class OutboxFull(Exception):
    """The view has not read its messages for too long; its link must end."""


@dataclass(slots=True)
class _Entry:
    data: str | bytes
    lane: str = ""
    audio_bytes: int = 0
    event_rows: int = 0


class Outbox:
    """FIFO of encoded messages with named bounds, owned by one link client on one loop.

    Audio is bounded to three minutes, event rows to 4000 (the surplus is dropped, counted, and told in the next
    `Events.dropped`), all other messages to 2000 (then `OutboxFull`).
    """

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._filled = asyncio.Event()
        self._sequences: dict[int, int] = {}
        self.audio_bytes = 0
        self.event_rows = 0
        self.dropped_event_rows = 0
        self._messages = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, message: messages.Message, *, first: bool = False, lane: str = "") -> None:
        """Queue a text message; `first` overtakes what waits.

        Raises:
            OutboxFull: more than 2000 messages wait.
        """
        event_rows = 0
        if isinstance(message, messages.Events):
            event_rows = len(message.rows)
            if self.event_rows + event_rows > MAX_EVENT_ROWS:
                self.dropped_event_rows += event_rows + message.dropped
                return
            if self.dropped_event_rows:
                message = msgspec.structs.replace(message, dropped=message.dropped + self.dropped_event_rows)
                self.dropped_event_rows = 0
        if self._messages >= MAX_MESSAGES and not first:
            raise OutboxFull
        entry = _Entry(_encode(message).decode(), lane, event_rows=event_rows)
        self.event_rows += event_rows
        self._messages += 1
        (self._entries.appendleft if first else self._entries.append)(entry)
        self._filled.set()

    def put_audio(self, stream_id: int, lane: str, pcm16: bytes) -> bool:
        """Queue playback audio; False when three minutes already wait and it was not taken."""
        if self.audio_bytes + len(pcm16) > MAX_AUDIO_BYTES or len(self._entries) - self._messages >= MAX_AUDIO_CHUNKS:
            return False
        sequence = self._sequences.get(stream_id, 0)
        self._sequences[stream_id] = (sequence + 1) & 0xFFFFFFFF
        header = messages.BINARY_HEADER.pack(messages.KIND_PLAYBACK, 0, 0, stream_id, sequence, 0.0)
        self._entries.append(_Entry(header + pcm16, lane, audio_bytes=len(pcm16)))
        self.audio_bytes += len(pcm16)
        self._filled.set()
        return True

    def end_stream(self, stream_id: int) -> None:
        """Forget the sequence number of a stream that is over."""
        self._sequences.pop(stream_id, None)

    def drop_lane(self, lane: str) -> None:
        """Take back everything of a lane that has not left yet."""
        kept: deque[_Entry] = deque()
        for entry in self._entries:
            if entry.lane == lane:
                self.audio_bytes -= entry.audio_bytes
            else:
                kept.append(entry)
        self._messages = sum(isinstance(entry.data, str) for entry in kept)
        self._entries = kept

    async def get(self) -> str | bytes:
        """Wait for the next message and take it out. Cancellation-safe: nothing is taken when cancelled."""
        while not self._entries:
            self._filled.clear()
            await self._filled.wait()
        entry = self._entries.popleft()
        self.audio_bytes -= entry.audio_bytes
        self.event_rows -= entry.event_rows
        self._messages -= isinstance(entry.data, str)
        return entry.data
