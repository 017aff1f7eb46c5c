"""Turns, transcript lines and regions out of the stream of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from realtime_nb.errors import RealtimeError, ResponseFailed
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import FunctionCall, FunctionCallOutput, InputText, Message, OutputAudio, item_text
from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.protocol.response import StatusError
from realtime_nb.protocol.session_config import ServerVad, SessionConfig

from .event_log import LoggedEvent
from .input_tape import InputTape
from .observers import Observers
from .regions import Region, RegionBook
from .transcript import TranscriptBook
from .turn import Interruption, Rendered, Turn

MAX_TURNS = 200
MAX_AUDIO_BYTES = 256 * 1024 * 1024
"""Of all turns that are kept: about 47 minutes of both voices without a pause."""
MAX_RENDERED = 500


class TurnBuilder:
    """Follows one session's events.

    Attributes:
        history: finished turns, oldest first, the last 200, fewer when their audio is more than 256 MiB.
        transcript: lines of both sides.
        regions: spans for the waveforms.
    """

    def __init__(self, observers: Observers, tape: InputTape, *, turn_type: type[Turn] = Turn) -> None:
        self.history: list[Turn] = []
        self.transcript = TranscriptBook()
        self.regions = RegionBook()
        self.turns: dict[str, Turn] = {}
        self._observers = observers
        self._tape = tape
        self._turn_type = turn_type
        self._config = SessionConfig()
        self._waiting_user_ids: list[str] = []
        self._waiting_events: list[LoggedEvent] = []
        self._speech_ms: dict[str, tuple[float, float]] = {}
        self._started_ms: dict[str, float] = {}
        self._stopped_ms: dict[str, float] = {}
        self._committed_ms = 0.0
        self._backchannels: set[str] = set()
        self._answered: Turn | None = None

    @property
    def current(self) -> Turn | None:
        """The turn being answered, None between turns."""
        return next((turn for turn in self.turns.values() if turn.status == "in_progress"), None)

    def turn_of_item(self, item_id: str) -> Turn | None:
        """Return the turn that an assistant item belongs to."""
        return next((turn for turn in reversed(self.turns.values()) if item_id in turn.item_ids), None)

    def take(self, event: object, logged: LoggedEvent, config: SessionConfig) -> None:
        """Follow one received event."""
        self._config = config
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, logged.time_ms)
        turn = self._turn_for(event)
        if turn is not None:
            turn.events.append(logged.without_audio())
        elif not isinstance(event, se.SessionCreated | se.SessionUpdated):
            self._waiting_events.append(logged.without_audio())
            del self._waiting_events[:-2000]

    def take_sent(self, event: ce.ClientEventBase, logged: LoggedEvent) -> None:
        """Follow one sent event (audio is on the tape, settings belong to no turn)."""
        if not isinstance(event, ce.InputAudioBufferAppend | ce.SessionUpdate):
            self._waiting_events.append(logged.without_audio())

    def lose_current(self, error: RealtimeError, now_ms: float) -> None:
        """The connection broke: end what was going on, keeping what was received."""
        for turn in [turn for turn in self.turns.values() if turn.status == "in_progress"]:
            turn.status, turn.error = "lost", error
            self._finish(turn)
        for region in self.regions.regions:
            self._tell_region(self.regions.close(region.region_id, now_ms))

    def interrupted(self, key: PlaybackKey, reason: Interruption, heard_ms: int, now_ms: float) -> None:
        """Note that an item was cut after `heard_ms`."""
        turn = self.turn_of_item(key.item_id)
        if turn is not None:
            turn.interrupted, turn.heard_ms = reason, heard_ms
        self._observers.tell("on_interrupted", key, reason, heard_ms, now_ms)
        if self.transcript.get(key.item_id) is not None and heard_ms == 0:
            self._tell_line(self.transcript.write(key.item_id, "assistant", heard_characters=0, status="cancelled"))
        self._tell_region(self.regions.close(f"response-{key.item_id}", now_ms))

    def backchannel(self, item_id: str) -> None:
        """Note that a user item was a short sound of listening: it belongs to no turn."""
        self._backchannels.add(item_id)
        self._tell_line(self.transcript.write(item_id, "user", status="backchannel"))

    def rendered(self, key: PlaybackKey, n_samples: int, time_ms: float, error_ms: float) -> None:
        """Note that so many samples of a part had left the loudspeaker by then."""
        turn = self.turn_of_item(key.item_id)
        if turn is not None and len(turn.rendered) < MAX_RENDERED:
            turn.rendered.append(Rendered(key, n_samples, time_ms, error_ms))

    def drained(self, key: PlaybackKey, now_ms: float) -> None:
        """Note that all of an item was rendered."""
        self._tell_region(self.regions.close(f"response-{key.item_id}", now_ms))

    # --- the user's side ----------------------------------------------------------------------------------------

    def _on_speech_started(self, event: se.SpeechStarted, now_ms: float) -> None:
        padding = self._detection.prefix_padding_ms if self._detection else 0
        start_ms = min(self._tape.session_ms(event.audio_start_ms + padding), now_ms)
        self._started_ms[event.item_id] = start_ms
        self._speech_ms[event.item_id] = (float(event.audio_start_ms), float("inf"))
        self._tell_region(
            self.regions.open(
                Region(region_id=f"speech-{event.item_id}", lane="user", kind="speech", start_ms=start_ms)
            )
        )
        self._tell_line(self.transcript.write(event.item_id, "user"))

    def _on_speech_stopped(self, event: se.SpeechStopped, now_ms: float) -> None:
        start_ms, _ = self._speech_ms.get(event.item_id, (event.audio_end_ms, 0))
        self._speech_ms[event.item_id] = (start_ms, float(event.audio_end_ms))
        self._stopped_ms[event.item_id] = now_ms
        hold_ms = self._detection.silence_duration_ms if self._detection else 0
        end_ms = min(self._tape.session_ms(event.audio_end_ms) - hold_ms, now_ms)
        self._tell_region(self.regions.close(f"speech-{event.item_id}", end_ms))
        hold = Region(
            region_id=f"hold-{event.item_id}", lane="user", kind="hold", start_ms=end_ms, end_ms=max(now_ms, end_ms)
        )
        self._tell_region(self.regions.open(hold))

    def _on_committed(self, event: se.InputAudioBufferCommitted, now_ms: float) -> None:
        if event.item_id not in self._speech_ms:
            self._speech_ms[event.item_id] = (self._committed_ms, self._tape.end_ms)
        self._committed_ms = self._tape.end_ms
        self._tell_line(self.transcript.write(event.item_id, "user"))

    def input_cleared(self) -> None:
        """The input buffer was cleared: the next manual commit begins here."""
        self._committed_ms = self._tape.end_ms

    def _on_added(self, event: se.ConversationItemAdded | se.ConversationItemCreated, now_ms: float) -> None:
        item = event.item
        if isinstance(item, Message) and item.role == "user":
            item_id = str(item.id)
            if item_id in self._backchannels or any(item_id in turn.user_item_ids for turn in self.turns.values()):
                return
            self._waiting_user_ids.append(item_id)
            if all(isinstance(part, InputText) for part in item.content):
                self._tell_line(self.transcript.write(item_id, "user", text=item_text(item), final=True))
        elif isinstance(item, FunctionCallOutput):
            self._on_answered(item.call_id)

    def _on_answered(self, call_id: str) -> None:
        """Remember whose call was answered for the turn that speaks of it; others may come between."""
        for turn in self.turns.values():
            told_again = any(each.cause is turn for each in self.turns.values())  # to a new connection
            if not told_again and any(call.call_id == call_id for call in turn.tool_calls):
                self._answered = turn

    def _on_transcription_delta(self, event: se.TranscriptionDelta, now_ms: float) -> None:
        self._tell_line(self.transcript.write(event.item_id, "user", append=event.delta))

    def _on_transcription(self, event: se.TranscriptionCompleted, now_ms: float) -> None:
        line = self.transcript.write(event.item_id, "user", text=event.transcript, final=True)
        self._tell_line(line)
        for turn in self.turns.values():
            if event.item_id in turn.user_item_ids:
                turn.user_transcript = self._words(turn.user_item_ids)

    def _on_transcription_failed(self, event: se.TranscriptionFailed, now_ms: float) -> None:
        self._tell_line(self.transcript.write(event.item_id, "user", final=True, status="failed"))

    # --- the assistant's side -----------------------------------------------------------------------------------

    def _on_response_created(self, event: se.ResponseCreated | se.ResponseDone, now_ms: float) -> None:
        if event.response.id in self.turns:
            return
        out_of_band = event.response.conversation_id is None
        user_ids = [] if out_of_band else self._waiting_user_ids
        turn = self._turn_type(event.response.id, list(user_ids), out_of_band=out_of_band)
        user_ids.clear()
        turn.events, self._waiting_events = self._waiting_events, []
        turn.user_transcript = self._words(turn.user_item_ids)
        turn.marks.response_created_ms = now_ms
        for item_id in turn.user_item_ids:
            if item_id in self._speech_ms:
                start_ms, end_ms = self._speech_ms.pop(item_id)
                turn.add_user_audio(self._tape.slice(start_ms, min(end_ms, self._tape.end_ms)))
                turn.marks.speech_started_ms = self._started_ms.pop(
                    item_id, self._tape.session_ms(start_ms, begins=True)
                )
                turn.marks.speech_stopped_ms = self._stopped_ms.pop(item_id, None)
                turn.marks.user_audio_end_ms = self._tape.spoken_by_ms(min(end_ms, self._tape.end_ms))
        if not turn.out_of_band and not turn.user_item_ids:
            before = next((each for each in reversed(self.turns.values()) if not each.out_of_band), None)
            turn.cause = self._answered or (before if before is not None and before.tool_calls else None)
            self._answered = None
        self.turns[turn.response_id] = turn

    def _on_item_added(self, event: se.OutputItemAdded, now_ms: float) -> None:
        turn = self.turns.get(event.response_id)
        if turn is not None and isinstance(event.item, Message):
            turn.item_ids.append(str(event.item.id))
            self._tell_line(self.transcript.write(str(event.item.id), "assistant"))

    def _on_item_done(self, event: se.OutputItemDone, now_ms: float) -> None:
        turn, item = self.turns.get(event.response_id), event.item
        if turn is not None and isinstance(item, FunctionCall):
            turn.tool_calls.append(item)
            self._tell_line(self.transcript.write(str(item.id), "tool", text=item_text(item), final=True))
        elif isinstance(item, Message):
            self._tell_line(self.transcript.write(str(item.id), "assistant", final=True))

    def _on_text(self, event: se.OutputTextDelta | se.OutputAudioTranscriptDelta, now_ms: float) -> None:
        turn = self.turns.get(event.response_id)
        if turn is not None:
            turn.transcript += event.delta
            if turn.marks.first_text_ms is None:
                turn.marks.first_text_ms = now_ms
        self._tell_line(self.transcript.write(event.item_id, "assistant", append=event.delta))

    def _on_audio(self, event: se.OutputAudioDelta, now_ms: float) -> None:
        turn = self.turns.get(event.response_id)
        if turn is not None and turn.marks.first_audio_ms is None:
            turn.marks.first_audio_ms = now_ms
        region_id = f"response-{event.item_id}"
        if region_id not in self.regions:
            region = Region(region_id=region_id, lane="assistant", kind="response", start_ms=now_ms)
            self._tell_region(self.regions.open(region))

    def _on_retrieved(self, event: se.ConversationItemRetrieved, now_ms: float) -> None:
        item = event.item
        turn = self.turn_of_item(str(item.id))
        if turn is None or turn.interrupted is None or not isinstance(item, Message):
            return
        if any(isinstance(part, OutputAudio) for part in item.content):
            turn.remembered = item_text(item)
            line = self.transcript.write(
                str(item.id), "assistant", heard_characters=len(turn.remembered), status="cancelled"
            )
            self._tell_line(line)

    def _on_done(self, event: se.ResponseDone, now_ms: float) -> None:
        self._on_response_created(event, now_ms)  # when its created was lost or is late
        turn = self.turns[event.response.id]
        if turn.status != "in_progress":
            return
        response = event.response
        turn.status = response.status
        turn.usage = response.usage
        turn.marks.done_ms = now_ms
        details = response.status_details
        if response.status == "failed":
            error = details.error if details is not None and isinstance(details.error, StatusError) else StatusError()
            turn.error = ResponseFailed(
                f"The response failed: {error.message or error.code or 'the server gave no reason'}.",
                what_now="Ask again, in a new session if this one has ended.",
            )
        for item_id in turn.item_ids:
            if response.status != "completed":
                self._tell_line(self.transcript.write(item_id, "assistant", final=True, status=response.status))

    def finish(self, response_id: str) -> None:
        """The turn's own `response.done` has been taken: put it into the history and tell."""
        turn = self.turns.get(response_id)
        if turn is not None and turn.status != "in_progress" and turn not in self.history:
            self._finish(turn)

    def _finish(self, turn: Turn) -> None:
        self.history.append(turn)
        del self.history[:-MAX_TURNS]
        while len(self.history) > 1 and sum(each.audio_bytes for each in self.history) > MAX_AUDIO_BYTES:
            self.turns.pop(self.history.pop(0).response_id, None)
        for old in list(self.turns)[:-MAX_TURNS]:
            del self.turns[old]
        self._observers.tell("on_turn", turn)

    # --- shared -------------------------------------------------------------------------------------------------

    @property
    def _detection(self) -> ServerVad | None:
        detection = self._config.audio.input.turn_detection
        return detection if isinstance(detection, ServerVad) else None

    def _words(self, item_ids: list[str]) -> str:
        lines = [self.transcript.get(item_id) for item_id in item_ids]
        return " ".join(line.text for line in lines if line is not None and line.text)

    def _turn_for(self, event: object) -> Turn | None:
        if isinstance(event, se.ResponseCreated | se.ResponseDone):
            return self.turns.get(event.response.id)
        response_id = getattr(event, "response_id", "")
        if response_id:
            return self.turns.get(response_id)
        item_id = getattr(event, "item_id", "") or str(getattr(getattr(event, "item", None), "id", ""))
        return next((turn for turn in self.turns.values() if item_id in (*turn.item_ids, *turn.user_item_ids)), None)

    def _tell_line(self, line: msgspec.Struct) -> None:
        self._observers.tell("on_transcript", line)

    def _tell_region(self, region: Region | None) -> None:
        if region is not None:
            self._observers.tell("on_region", region)


_HANDLERS: dict[type, Callable[[TurnBuilder, Any, float], None]] = {
    se.SpeechStarted: TurnBuilder._on_speech_started,
    se.SpeechStopped: TurnBuilder._on_speech_stopped,
    se.InputAudioBufferCommitted: TurnBuilder._on_committed,
    se.ConversationItemAdded: TurnBuilder._on_added,
    se.ConversationItemCreated: TurnBuilder._on_added,
    se.ConversationItemRetrieved: TurnBuilder._on_retrieved,
    se.TranscriptionDelta: TurnBuilder._on_transcription_delta,
    se.TranscriptionCompleted: TurnBuilder._on_transcription,
    se.TranscriptionFailed: TurnBuilder._on_transcription_failed,
    se.ResponseCreated: TurnBuilder._on_response_created,
    se.OutputItemAdded: TurnBuilder._on_item_added,
    se.OutputItemDone: TurnBuilder._on_item_done,
    se.OutputTextDelta: TurnBuilder._on_text,
    se.OutputAudioTranscriptDelta: TurnBuilder._on_text,
    se.OutputAudioDelta: TurnBuilder._on_audio,
    se.ResponseDone: TurnBuilder._on_done,
}
