"""Every frame in both directions, in order, bounded, with what had to be dropped counted."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

MAX_EVENTS = 50_000
MAX_BYTES = 96 * 1024 * 1024
MAX_AUDIO_BYTES = 32 * 1024 * 1024
"""Of frames that carry audio: about eight minutes of 24 kHz PCM16 in base64. Older ones stay without their audio."""
AUDIO_EVENTS = {
    "input_audio_buffer.append": '"audio"',
    "response.output_audio.delta": '"delta"',
    "response.audio.delta": '"delta"',
    "conversation.item.create": '"audio"',
    "conversation.item.retrieved": '"audio"',
}
"""Events that carry audio, with the key that it stands under."""
_VALUE = re.compile(r'\s*:\s*"')
_BASE64 = re.compile(r"[A-Za-z0-9+/=\\]*")
MIN_PAYLOAD_CHARACTERS = 64
SAMPLED_CHARACTERS = 64
"""Judged at both ends of a payload: reading all of it would cost as much as decoding it."""

Direction = Literal["sent", "received"]


class LoggedEvent(msgspec.Struct, frozen=True, gc=False):
    """One wire event.

    Attributes:
        sequence: counts from 0 over the session.
        time_ms: on the session's clock.
        direction: "sent" or "received".
        event_type: the wire's `type`.
        frame: the text as it went over the wire.
        audio_left_out_bytes: how much audio it carried that is no longer in `frame`, 0 when nothing was left out.
    """

    sequence: int
    time_ms: float
    direction: Direction
    event_type: str
    frame: str
    audio_left_out_bytes: int = 0

    def without_audio(self) -> LoggedEvent:
        """Return the event with audio payloads replaced by their length; itself when it carries none."""
        key = AUDIO_EVENTS.get(self.event_type)
        if key is None:
            return self
        frame, left_out = _without_payloads(self.frame, key)
        if not left_out:
            return self
        return msgspec.structs.replace(self, frame=frame, audio_left_out_bytes=left_out)

    @property
    def event(self) -> dict[str, Any]:
        """The frame as a dict, decoded anew at each call; `{"raw": …}` when it was not JSON."""
        try:
            value = msgspec.json.decode(self.frame)
        except msgspec.DecodeError:
            return {"raw": self.frame}
        return value if isinstance(value, dict) else {"raw": value}

    def __repr__(self) -> str:
        arrow = "→" if self.direction == "sent" else "←"
        return f"<{self.sequence} {self.time_ms:.0f} ms {arrow} {self.event_type}, {len(self.frame)} chars>"


class EventLog:
    """The bounded log of one session. Appended on the session's loop, readable from any thread.

    Old events lose their audio first (`audio_left_out_bytes` says how much), then the oldest events go.
    """

    def __init__(
        self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, max_audio_bytes: int = MAX_AUDIO_BYTES
    ) -> None:
        self._events: deque[LoggedEvent] = deque()
        self._with_audio: deque[LoggedEvent] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_audio_bytes = max_audio_bytes
        self._bytes = self._audio_bytes = 0
        self._next = 0

    @property
    def dropped(self) -> int:
        """How many of the oldest events are no longer held."""
        return self._next - len(self._events)

    def append(self, time_ms: float, direction: Direction, event_type: str, frame: str) -> LoggedEvent:
        """Add an event; the oldest go when a bound is reached."""
        event = LoggedEvent(self._next, time_ms, direction, event_type, frame)
        self._next += 1
        self._events.append(event)
        self._bytes += len(frame)
        if event_type in AUDIO_EVENTS:
            self._with_audio.append(event)
            self._audio_bytes += len(frame)
        while self._audio_bytes > self._max_audio_bytes and len(self._with_audio) > 1:
            self._leave_audio_out(self._with_audio.popleft())
        while len(self._events) > self._max_events or (self._bytes > self._max_bytes and len(self._events) > 1):
            self._drop_oldest()
        return event

    def _drop_oldest(self) -> None:
        oldest = self._events.popleft()
        self._bytes -= len(oldest.frame)
        if self._with_audio and self._with_audio[0] is oldest:
            self._audio_bytes -= len(self._with_audio.popleft().frame)

    def _leave_audio_out(self, event: LoggedEvent) -> None:
        self._audio_bytes -= len(event.frame)
        slim = event.without_audio()
        self._events[event.sequence - self._events[0].sequence] = slim
        self._bytes -= len(event.frame) - len(slim.frame)

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[LoggedEvent]:
        return iter(tuple(self._events))

    def __getitem__(self, sequence: int) -> LoggedEvent:
        """Return the event numbered `sequence`; KeyError when it was dropped or has not happened."""
        found = _numbered(self._events, sequence) or _numbered(tuple(self._events), sequence)
        if found is None:
            raise KeyError(sequence)
        return found

    def since(self, sequence: int) -> tuple[list[LoggedEvent], int]:
        """Return the events from `sequence` on, and how many of those wanted were already dropped."""
        events = [event for event in tuple(self._events) if event.sequence >= sequence]
        first = events[0].sequence if events else max(sequence, self._next)
        return events, max(0, first - sequence)

    def __repr__(self) -> str:
        return f"<EventLog: {len(self)} events, {self.dropped} dropped>"


def _without_payloads(frame: str, key: str) -> tuple[str, int]:
    """Return a frame with the long base64 strings under a key replaced by their length in bytes, and their sum."""
    left_out = 0
    found = frame.find(key)
    while found >= 0:
        found += len(key)
        value = _VALUE.match(frame, found)
        if value is not None:
            start, end = value.end(), frame.find('"', value.end())
            if end - start >= MIN_PAYLOAD_CHARACTERS and _is_base64(frame, start, end):
                n_bytes = (end - start) * 3 // 4 - frame.count("=", end - 2, end)
                left_out += n_bytes
                frame = f"{frame[:start]}({n_bytes} bytes of audio){frame[end:]}"
        found = frame.find(key, found)
    return frame, left_out


def _is_base64(frame: str, start: int, end: int) -> bool:
    first, last = start + SAMPLED_CHARACTERS, end - SAMPLED_CHARACTERS
    return _BASE64.fullmatch(frame, start, min(first, end)) is not None and (
        _BASE64.fullmatch(frame, max(last, start), end) is not None
    )


def _numbered(events: Sequence[LoggedEvent], sequence: int) -> LoggedEvent | None:
    """Return the event of a number; a log that grows meanwhile, on another thread, may hide it."""
    try:
        position = sequence - events[0].sequence
        event = events[position] if position >= 0 else None
    except IndexError:
        return None
    return event if event is not None and event.sequence == sequence else None
