"""A session on its way into a recording: wire events, both voices on one clock, and what the wire does not say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from realtime_nb.errors import ConnectionLost, RealtimeError
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.lanes import JITTER_MS, ArrivalLane, Lane
from realtime_nb.recording.redaction import Redaction
from realtime_nb.recording.secrets import Scrubber, bare_url
from realtime_nb.recording.writer import RecordingWriter, manifest_for
from realtime_nb.runtime import wait_at_exit

from .event_log import LoggedEvent
from .owner_loop import call_soon
from .playback_report import RenderedAt
from .reconnect import StateRestored
from .tool_runner import ToolResult

if TYPE_CHECKING:
    from .owner import SessionOwner
    from .session import Session

USER, ASSISTANT = 0, 1
SAMPLES_PER_MS = 24
KEPT_PARTS = 64
KEY_VARIABLES = ("OPENAI_API_KEY", "REALTIME_NB_API_KEY", "REALTIME_NB_CHAT_API_KEY")


class _Part:
    """Received audio of one part that was not rendered yet."""

    def __init__(self) -> None:
        self.waiting = bytearray()
        self.rendered = 0

    def take(self, n_samples: int) -> bytes:
        """Return what is new up to `n_samples` from the part's beginning."""
        n_bytes = max(0, n_samples - self.rendered) * 2
        piece = bytes(self.waiting[:n_bytes])
        del self.waiting[:n_bytes]
        self.rendered += len(piece) // 2
        return piece


class SessionRecorder:
    """An observer that writes. On the session's loop; nothing waits for the disk.

    The assistant's channel holds what was rendered, when it was rendered: at the loudspeaker where the player knows its
    clock and latency, else when its report came. Without a player it holds what was received, laid out at the speed of
    speech from its arrival. The user's channel holds a clip at its own pace, however late the machine sends it, and a
    microphone by the arrival of its most punctual frames.

    Args:
        writer: where to; `manifest.redacted` says what is left out.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self.writer = writer
        self._with_audio = "audio" not in writer.manifest.redacted
        self._user = ArrivalLane()
        self._assistant = Lane()
        self._parts: dict[PlaybackKey, _Part] = {}

    # --- events and voices --------------------------------------------------------------------------------------

    def on_event(self, logged: LoggedEvent) -> None:
        """Write a wire event."""
        self.writer.event(logged.sequence, int(logged.time_ms * 1e6), logged.direction, logged.event_type, logged.frame)

    def on_user_audio(self, pcm16: bytes, spoken_ms: float) -> None:
        """Write what the user said; `spoken_ms` is when its last sample was spoken."""
        if self._with_audio:
            self.writer.audio(USER, *self._user.lay(spoken_ms, pcm16))

    def on_assistant_audio(self, key: PlaybackKey, pcm16: bytes, now_ms: float, audible: bool) -> None:
        """Keep what was received until it is rendered; without a player lay it out from now on."""
        if not self._with_audio:
            return
        if not audible:
            self._write_heard(pcm16, now_ms + len(pcm16) / 48, JITTER_MS)
            return
        self._parts.setdefault(key, _Part()).waiting += pcm16
        while len(self._parts) > KEPT_PARTS:
            del self._parts[next(iter(self._parts))]

    def on_rendered(self, key: PlaybackKey, n_samples: int, now_ms: float, at: RenderedAt | None = None) -> None:
        """Write what was newly rendered, and note the report."""
        details: dict[str, object] = {**key._asdict(), "samples": n_samples}
        if at is not None:
            details["at"] = msgspec.to_builtins(at)
        self._mark("rendered", now_ms, details)
        if at is None:
            self._write_new(key, n_samples, now_ms, JITTER_MS)
        else:
            self._write_new(key, n_samples, at.time_ms + at.output_latency_ms, at.error_ms)

    def on_interrupted(self, key: PlaybackKey, reason: str, heard_ms: int, now_ms: float) -> None:
        """Write the last of what was heard, and note the cut."""
        self._mark("interrupted", now_ms, {**key._asdict(), "reason": reason, "heard_ms": heard_ms})
        self._write_new(key, heard_ms * SAMPLES_PER_MS, now_ms, JITTER_MS)
        self._parts.pop(key, None)

    def _write_new(self, key: PlaybackKey, n_samples: int, end_ms: float, error_ms: float) -> None:
        part = self._parts.get(key)
        piece = part.take(n_samples) if part is not None else b""
        if piece:
            self._write_heard(piece, end_ms, error_ms)

    def _write_heard(self, pcm16: bytes, end_ms: float, error_ms: float) -> None:
        position = self._assistant.place(end_ms, len(pcm16) // 2, error_ms=error_ms)
        self.writer.audio(ASSISTANT, position, pcm16)

    # --- what the wire does not say -----------------------------------------------------------------------------

    def on_speech_end(self, response_id: str, speech_end_ms: float) -> None:
        """Note the true end of a played clip's speech; it belongs to this response's turn."""
        self._mark("speech_end", speech_end_ms, {"response_id": response_id})

    def on_tool_result(self, result: ToolResult) -> None:
        """Note a call that ended, with its times."""
        self._mark("tool", result.ended_ms or result.started_ms, msgspec.to_builtins(result))

    def on_lost(self, error: RealtimeError) -> None:
        """Note that the connection broke and will be opened again."""
        how = {"code": error.code, "reason": error.reason} if isinstance(error, ConnectionLost) else {}
        self._mark("lost", None, {"message": error.message, **how})

    def on_restored(self, restored: StateRestored) -> None:
        """Note what a new connection rebuilt."""
        self._mark("restored", None, msgspec.to_builtins(restored))

    def on_ended(self, error: RealtimeError, now_ms: float) -> None:
        """The session is over: finish the files, without waiting for the disk."""
        self._mark("ended", now_ms, {"message": error.message})
        self.writer.finish(error.message)
        wait_at_exit(self.writer.thread)

    def begin(self, owner: SessionOwner) -> None:
        """Take over: write the events that the session still holds, and follow it from now on. On its loop."""
        now_ms = owner.now_ms()
        self._now_ms = owner.now_ms
        without_audio = 0
        for logged in owner.log:
            self.on_event(logged)
            without_audio += logged.audio_left_out_bytes > 0
        gone = {"events_gone": owner.log.dropped, "events_without_audio": without_audio}
        self._mark("recording_began", now_ms, gone)
        owner.observers.add(self)
        if owner.ended is not None:
            self.on_ended(owner.ended, now_ms)
        owner.observers.tell("on_recording")

    _now_ms = staticmethod(lambda: 0.0)

    def _mark(self, name: str, at_ms: float | None, details: Mapping[str, object]) -> None:
        self.writer.mark(name, int((self._now_ms() if at_ms is None else at_ms) * 1e6), details)


def record(
    session: Session,
    path: str | os.PathLike[str],
    *,
    owner: SessionOwner,
    redact: tuple[Redaction, ...] = (),
    secrets: tuple[str, ...] = (),
) -> RecordingWriter:
    """Begin to record a session. See `Session.record`. Nothing here holds the session: dropped, it still closes."""
    from realtime_nb import __version__

    scrubber = Scrubber((*secrets, *(os.environ.get(name, "") for name in KEY_VARIABLES)))
    manifest = manifest_for(
        endpoint=scrubber.text(bare_url(session.endpoint)),
        engine=session.engine,
        model=session.model,
        version=__version__,
        session_age_ms=session.now_ms(),
    )
    manifest.redacted = list(redact)

    def tell(failure: OSError) -> None:
        problem = f"The recording to {Path(path)} stopped: {failure.strerror or failure}."
        notice = ("on_notice", "warning", problem, "The session goes on; what was written stays readable.")
        call_soon(owner.loop, owner.observers.tell, *notice)
        tell_news()

    def tell_news() -> None:
        call_soon(owner.loop, owner.observers.tell, "on_recording")

    writer = RecordingWriter(path, manifest, scrubber=scrubber, on_failure=tell, on_end=tell_news)
    session.recordings.append(writer)
    recorder = SessionRecorder(writer)
    if owner.loop.is_closed():
        recorder.begin(owner)
    else:
        call_soon(owner.loop, recorder.begin, owner)
    return writer


__all__ = ["SessionRecorder", "record"]
