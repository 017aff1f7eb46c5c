"""A session on its way into a recording: wire events, and both voices on one clock."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.format import RecordedEvent, Redaction, without_secrets
from realtime_nb.recording.writer import RecordingWriter

from .event_log import LoggedEvent

USER, ASSISTANT = 0, 1
SAMPLES_PER_MS = 24
JOIN_SAMPLES = 60 * SAMPLES_PER_MS
"""Pieces that begin within 60 ms of the last one's end are one stream: frames arrive unevenly."""
KEPT_PARTS = 64
TRANSCRIPT_KEYS = frozenset({"transcript", "delta", "text", "arguments", "output", "instructions"})


class Lane:
    """One channel: where the next piece goes."""

    def __init__(self, writer: RecordingWriter, channel: int) -> None:
        self._writer = writer
        self._channel = channel
        self._next = 0

    def ended_at(self, now_ms: float, pcm16: bytes) -> None:
        """Put a piece that ended at session time `now_ms`."""
        position = int(now_ms * SAMPLES_PER_MS) - len(pcm16) // 2
        if abs(position - self._next) <= JOIN_SAMPLES or position < self._next:
            position = self._next
        self._next = position + len(pcm16) // 2
        self._writer.audio(self._channel, position, pcm16)


class SessionRecorder:
    """An observer that writes. On the session's loop; nothing waits for the disk.

    The assistant's channel holds what was rendered, when it was rendered. Without a player it holds what was
    received, laid out at the speed of speech from its arrival.

    Args:
        writer: where to.
        redact: "audio" leaves audio out of the events and the WAV, "transcripts" leaves words out.
    """

    def __init__(self, writer: RecordingWriter, *, redact: tuple[Redaction, ...] = ()) -> None:
        self.writer = writer
        self._redact = redact
        self._user = Lane(writer, USER)
        self._assistant = Lane(writer, ASSISTANT)
        self._received: dict[PlaybackKey, bytearray] = {}
        self._rendered: dict[PlaybackKey, int] = {}

    def on_event(self, logged: LoggedEvent) -> None:
        """Write a wire event, without secrets and what is to be redacted."""
        line = {
            "sequence": logged.sequence,
            "time_ns": int(logged.time_ms * 1e6),
            "direction": logged.direction,
        }
        event = logged.event
        if set(event) == {"raw"}:
            self.writer.event(RecordedEvent(**line, raw=str(event["raw"])))  # type: ignore[arg-type]
            return
        if "session" in event or "response" in event:
            event = without_secrets(event)
        self.writer.event(RecordedEvent(**line, event=self._redacted(event)))  # type: ignore[arg-type]

    def on_user_audio(self, pcm16: bytes, now_ms: float) -> None:
        """Write what the user said."""
        if "audio" not in self._redact:
            self._user.ended_at(now_ms, pcm16)

    def on_assistant_audio(self, key: PlaybackKey, pcm16: bytes, now_ms: float, audible: bool) -> None:
        """Keep what was received until it is rendered; without a player lay it out from now on."""
        if "audio" in self._redact:
            return
        if not audible:
            self._assistant.ended_at(now_ms + len(pcm16) / 48, pcm16)
            return
        self._received.setdefault(key, bytearray()).extend(pcm16)
        while len(self._received) > KEPT_PARTS:
            oldest = next(iter(self._received))
            del self._received[oldest]
            self._rendered.pop(oldest, None)

    def on_rendered(self, key: PlaybackKey, n_samples: int, now_ms: float) -> None:
        """Write what was newly rendered, ending now."""
        before = self._rendered.get(key, 0)
        piece = bytes(self._received.get(key, b"")[before * 2 : n_samples * 2])
        if piece:
            self._rendered[key] = before + len(piece) // 2
            self._assistant.ended_at(now_ms, piece)

    def on_ended(self, error: RealtimeError, now_ms: float) -> None:
        """The session is over: finish the files, without waiting for the disk."""
        self.writer.mark("ended", int(now_ms * 1e6), message=error.message)
        self.writer.finish(error.message)

    def _redacted(self, event: dict[str, Any]) -> dict[str, Any]:
        kind = str(event.get("type", ""))
        audio = kind == "response.output_audio.delta"
        if "audio" in self._redact:
            event = _replaced(event, {"audio", "delta"} if audio else {"audio"})
        if "transcripts" in self._redact and not audio:
            event = _replaced(event, TRANSCRIPT_KEYS)
        return event


def _replaced(value: Any, keys: AbstractSet[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: "(redacted)" if key in keys and isinstance(item, str) else _replaced(item, keys)
            for key, item in value.items()
        }
    return [_replaced(item, keys) for item in value] if isinstance(value, list) else value


__all__ = ["SessionRecorder"]
