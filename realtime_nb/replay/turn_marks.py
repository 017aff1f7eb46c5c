"""The moments of a recorded turn: what the wire said, what the marks say, and the sound itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from realtime_nb.audio.speech_bounds import FRAME_MS as SPEECH_FRAME_MS
from realtime_nb.audio.speech_bounds import speech_bounds_ms
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import FunctionCall
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.lanes import JITTER_MS
from realtime_nb.timing.ideal_player import FRAME_MS, IdealPlayer
from realtime_nb.timing.marks import Marks, Timeline, timeline

if TYPE_CHECKING:
    from .recorded_turn import RecordedTape, RecordedTurn

NO_PLAYER = "no loudspeaker was attached that says what it rendered"
SAMPLES_PER_MS = 24
LEFT_OUT = "the audio was left out of the recording"


class Report(msgspec.Struct, frozen=True):
    """A player's word: so many samples were out of the loudspeaker at this time."""

    time_ms: float
    samples: int
    error_ms: float


class TurnMoments:
    """Collects what turns do not hold, by item and by response, on the session's clock."""

    def __init__(self, tape: RecordedTape) -> None:
        self.tape = tape
        self.speech_end_ms: dict[str, float] = {}
        self.stopped_ms: dict[str, float] = {}
        self.committed_ms: dict[str, float] = {}
        self.transcript_ms: dict[str, float] = {}
        self.tool_call_ms: dict[str, float] = {}
        self.tool_output_ms: dict[str, float] = {}
        self.reports: dict[PlaybackKey, list[Report]] = {}
        self._commit_sent_ms: float | None = None

    def take(self, event: object, now_ms: float) -> None:
        """Follow one received event."""
        match event:
            case se.SpeechStopped():
                self.stopped_ms[event.item_id] = now_ms
            case se.InputAudioBufferCommitted():
                self.committed_ms[event.item_id] = now_ms
                if event.item_id not in self.stopped_ms and self._commit_sent_ms is not None:
                    self.stopped_ms[event.item_id] = self._commit_sent_ms
                self._commit_sent_ms = None
            case se.TranscriptionCompleted():
                self.transcript_ms[event.item_id] = now_ms
            case se.OutputItemDone() if isinstance(event.item, FunctionCall):
                self.tool_call_ms.setdefault(str(event.item.call_id), now_ms)

    def take_sent(self, kind: str, content: dict[str, Any], now_ms: float) -> None:
        """Follow one sent event."""
        if kind == "input_audio_buffer.commit":
            self._commit_sent_ms = now_ms
        item = content.get("item")
        if kind == "conversation.item.create" and isinstance(item, dict) and item.get("type") == "function_call_output":
            self.tool_output_ms[str(item.get("call_id"))] = now_ms

    def rendered(self, key: PlaybackKey, now_ms: float, details: dict[str, Any]) -> None:
        """Follow a player's report."""
        at = details.get("at") or {}
        time_ms = float(at.get("time_ms", now_ms)) + float(at.get("output_latency_ms", 0.0))
        report = Report(time_ms, int(details.get("samples", 0)), float(at.get("error_ms", JITTER_MS)))
        self.reports.setdefault(key, []).append(report)

    # --- one turn -----------------------------------------------------------------------------------------------

    def timeline(self, turn: RecordedTurn) -> Timeline:
        """Return where the time of a turn went, from the question that caused it."""
        marks = Marks(parallel=("transcript",))
        asked = turn
        while asked.cause is not None:
            asked = asked.cause
        known_ms = (each.marks.speech_end_ms for each in (turn, asked))
        _set(marks, "speech_end", next((ms for ms in known_ms if ms is not None), None))
        self._mark_question(marks, asked)
        calls = [str(call.call_id) for call in asked.tool_calls]
        if asked is not turn and calls:
            _set(marks, "tool_call", min((self.tool_call_ms[c] for c in calls if c in self.tool_call_ms), default=None))
            _set(marks, "tool_output", max((self.tool_output_ms.get(c, -1.0) for c in calls), default=None))
        _set(marks, "first_text", turn.marks.first_text_ms)
        _set(marks, "first_audio", turn.marks.first_audio_ms)
        self._mark_sound(marks, turn)
        return timeline(marks, "realtime")

    def _mark_question(self, marks: Marks, asked: RecordedTurn) -> None:
        if not asked.spans:
            why = "the turn was typed" if asked.user_item_ids else "nothing was asked aloud"
            for name in ("speech_end", "speech_stopped", "committed"):
                marks.cannot(name, why)
            return
        item_id = asked.user_item_ids[-1]
        if "speech_end" not in marks.moments:
            self._find_speech_end(marks, asked)
        _set(marks, "speech_stopped", self.stopped_ms.get(item_id))
        _set(marks, "committed", self.committed_ms.get(item_id))
        _set(marks, "transcript", self.transcript_ms.get(item_id))

    def _find_speech_end(self, marks: Marks, asked: RecordedTurn) -> None:
        clip = asked.user_audio
        bounds = speech_bounds_ms(clip.samples, clip.sample_rate_hz) if clip is not None else None
        if clip is None or bounds is None:
            marks.cannot("speech_end", "nothing stands out of the noise" if clip is not None else LEFT_OUT)
            return
        span = asked.spans[-1]
        before_ms = sum(other.end_ms - other.start_ms for other in asked.spans[:-1])
        end_ms = span.start_ms + max(0.0, bounds[1] - before_ms)
        marks.set("speech_end", self.tape.spoken_ms(end_ms), error_ms=SPEECH_FRAME_MS, source="derived")

    def _mark_sound(self, marks: Marks, turn: RecordedTurn) -> None:
        if turn.marks.first_audio_ms is None:
            return
        player, sample = IdealPlayer(), 0.0
        for arrived_ms, pcm16 in turn.pieces():
            starts_ms = max(arrived_ms, player.ends_ms)
            if player.take(pcm16, arrived_ms) and player.audible_ms is not None:
                sample += (player.audible_ms - starts_ms) * SAMPLES_PER_MS
                break
            sample += len(pcm16) // 2
        if player.audible_ms is None:
            why = LEFT_OUT if player.began_ms is None else "nothing in the answer's audio is loud enough to be heard"
            marks.cannot("first_audible", why)
            marks.cannot("rendered", why)
            return
        marks.set("first_audible", player.audible_ms, error_ms=FRAME_MS, source="derived")
        reports = self.reports.get(PlaybackKey(turn.item_ids[0], 0), []) if turn.item_ids else []
        found = next((report for report in reports if report.samples > sample), None)
        if found is None:
            marks.cannot("rendered", "it was cut before it sounded" if reports else NO_PLAYER)
        else:
            time_ms = found.time_ms - (found.samples - sample) / SAMPLES_PER_MS
            marks.set("rendered", time_ms, error_ms=found.error_ms + FRAME_MS)


def _set(marks: Marks, name: Any, time_ms: float | None) -> None:
    if time_ms is not None and time_ms >= 0:
        marks.set(name, time_ms)
