"""The client's machine: what the server said, what may be said now, and what was heard."""

from __future__ import annotations

from typing import Any

import msgspec

from realtime_nb.errors import LocalProtocolError

from . import client_events as ce
from . import server_events as se
from .codec import MAX_APPEND_BYTES, decode_server_event
from .connection import Connection
from .ids import IdFactory
from .input_buffer import MIN_COMMIT_MS
from .items import InputAudio, Message, OutputAudio, OutputText, without_audio
from .playback import Playback, PlaybackKey
from .response import Response, ResponsePhase, next_phase
from .session_config import AudioFormat, SessionConfig, bytes_per_ms

KEPT_RESPONSES = 200
"""Ended responses that are remembered, so that late or repeated events of theirs change nothing."""


class ClientProtocol(Connection):
    """Client side of one Realtime connection.

    Attributes:
        session: the session object as the server last sent it, raw.
        config: the same, typed; stays at its last readable value when a server sends an odd one.
        conversation: items in the server's order, without their audio.
        playback: received and rendered samples of output audio.
        active: ids of responses being generated, the default conversation's and out-of-band ones.
    """

    def __init__(self, *, ids: IdFactory | None = None, retrieve_after_truncate: bool = True) -> None:
        super().__init__(ids=ids)
        self.session: dict[str, Any] = {}
        self.config = SessionConfig()
        self.playback = Playback()
        self.phases: dict[str, ResponsePhase] = {}
        self.out_of_band: set[str] = set()
        self._formats: dict[str, AudioFormat] = {}
        self._create_ids: list[str] = []
        self._cancel_on_arrival = False
        self._appended_ms = 0.0
        self._root_ids: set[str] = set()
        self._retrieve_after_truncate = retrieve_after_truncate

    # --- sending ------------------------------------------------------------------------------------------------

    @property
    def active(self) -> list[str]:
        """Ids of responses in progress."""
        return [response_id for response_id, phase in self.phases.items() if not phase.ended]

    @property
    def active_default(self) -> str | None:
        """The id of the default conversation's response in progress, None when there is none."""
        return next((one for one in self.active if one not in self.out_of_band), None)

    @property
    def creates_pending(self) -> int:
        """Responses asked for that the server has not created yet."""
        return len(self._create_ids)

    def send(self, event: ce.ClientEvent) -> str:
        """Check an event against what is known and queue it.

        Returns:
            The event's id, which an `error` would name.

        Raises:
            LocalProtocolError: the server would surely refuse it; nothing was queued.
        """
        if isinstance(event, ce.InputAudioBufferAppend):
            self._check_append(event)
        elif isinstance(event, ce.InputAudioBufferCommit):
            self._check_commit()
        elif isinstance(event, ce.ResponseCreate):
            self._check_create(event)
        elif isinstance(event, ce.ResponseCancel):
            if not self._check_cancel(event):
                return ""
        elif isinstance(event, ce.ConversationItemTruncate):
            self._check_truncate(event)
        elif isinstance(event, ce.ConversationItemCreate) and event.previous_item_id == "root":
            if not event.item.id:
                event.item.id = self.ids.new("item")
            self._root_ids.add(str(event.item.id))
        elif isinstance(event, ce.InputAudioBufferClear):
            self._appended_ms = 0.0
        self._queue(event)
        return str(event.event_id)

    def give_up(self, response_id: str) -> None:
        """Take a response that the server never ended for ended; what still comes of it changes nothing."""
        phase = self.phases.get(response_id)
        if phase is not None and not phase.ended:
            self.phases[response_id] = next_phase(phase, "failed")

    def give_up_creates(self) -> None:
        """No longer expect the responses that were asked for."""
        self._create_ids.clear()
        self._cancel_on_arrival = False

    def _check_append(self, event: ce.InputAudioBufferAppend) -> None:
        if len(event.audio) > MAX_APPEND_BYTES:
            raise LocalProtocolError(
                f"{len(event.audio)} bytes of audio in one append; at most {MAX_APPEND_BYTES}.",
                code="string_above_max_length",
                param="audio",
                what_now="Send it in smaller chunks.",
            )
        self._appended_ms += len(event.audio) / bytes_per_ms(self.config.audio.input.format)

    def _check_commit(self) -> None:
        if self.config.audio.input.turn_detection is None and self._appended_ms < MIN_COMMIT_MS:
            raise LocalProtocolError(
                f"Only {self._appended_ms:.0f} ms of audio to commit; the server wants at least {MIN_COMMIT_MS} ms.",
                code="input_audio_buffer_commit_empty",
                what_now="Speak a little longer before you let go.",
            )
        self._appended_ms = 0.0

    def _check_create(self, event: ce.ResponseCreate) -> None:
        if isinstance(event.response, msgspec.Struct) and event.response.conversation == "none":
            return
        if self.active_default or self._create_ids:
            raise LocalProtocolError(
                f"A response is already being generated ({self.active_default or 'just requested'}).",
                code="conversation_already_has_active_response",
                what_now="Wait for its response.done, or cancel it first.",
            )
        event.event_id = event.event_id or self.ids.new("event")
        self._create_ids.append(str(event.event_id))

    def _check_cancel(self, event: ce.ResponseCancel) -> bool:
        if event.response_id or self.active_default:
            return True
        if self._create_ids:
            self._cancel_on_arrival = True
            return False
        raise LocalProtocolError("No response is being generated.", code="response_cancel_not_active")

    def _check_truncate(self, event: ce.ConversationItemTruncate) -> None:
        received_ms = self.playback.received_ms(PlaybackKey(event.item_id, event.content_index))
        if event.audio_end_ms > received_ms:
            raise LocalProtocolError(
                f"Item {event.item_id} has {received_ms} ms of audio and cannot be cut at {event.audio_end_ms} ms.",
                code="invalid_value",
                param="audio_end_ms",
            )

    # --- receiving ----------------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes) -> se.ServerEventBase | se.UnknownEvent:
        """Read one frame and update the state. Never raises; odd frames come back as `UnknownEvent`."""
        event = decode_server_event(frame)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        return event

    def _on_session(self, event: se.SessionCreated | se.SessionUpdated) -> None:
        self.session = event.session
        known = {key: value for key, value in event.session.items() if key in SessionConfig.__struct_fields__}
        try:
            self.config = msgspec.convert(known, SessionConfig)
        except msgspec.ValidationError:
            return

    def _on_error(self, event: se.ErrorEvent) -> None:
        if event.error.event_id in self._create_ids:
            self._create_ids.remove(event.error.event_id)
        elif event.error.code == "conversation_already_has_active_response":
            del self._create_ids[:1]
        if not self._create_ids:
            self._cancel_on_arrival = False

    def _on_added(self, event: se.ConversationItemAdded | se.ConversationItemCreated | se.ConversationItemDone) -> None:
        item_id = str(event.item.id)
        if item_id in self.conversation:
            if isinstance(event, se.ConversationItemDone):
                self.conversation.replace(event.item)
            return
        previous = event.previous_item_id if isinstance(event.previous_item_id, str) else None
        if previous is None and item_id in self._root_ids:
            previous = "root"
        self._root_ids.discard(item_id)
        known = previous in (None, "root") or previous in self.conversation
        self.conversation.insert(event.item, previous_item_id=previous if known else None)

    def _on_retrieved(self, event: se.ConversationItemRetrieved) -> None:
        if event.item.id in self.conversation:
            self.conversation.replace(without_audio(event.item))

    def _on_deleted(self, event: se.ConversationItemDeleted) -> None:
        if event.item_id in self.conversation:
            self.conversation.delete(event.item_id)
        self.playback.forget(event.item_id)

    def _on_truncated(self, event: se.ConversationItemTruncated) -> None:
        if self._retrieve_after_truncate:
            self._queue(ce.ConversationItemRetrieve(item_id=event.item_id))

    def _on_committed(self, event: se.InputAudioBufferCommitted) -> None:
        self._appended_ms = 0.0

    def _on_transcription(self, event: se.TranscriptionCompleted) -> None:
        part = self._part(event.item_id, event.content_index)
        if isinstance(part, InputAudio):
            part.transcript = event.transcript

    def _on_response_created(self, event: se.ResponseCreated) -> None:
        response = event.response
        if response.id in self.phases:
            return
        self._begin(response)
        if self._cancel_on_arrival and response.conversation_id is not None:
            self._cancel_on_arrival = False
            self._queue(ce.ResponseCancel(response_id=response.id))

    def _begin(self, response: Response) -> None:
        self._note_format(response)
        self.phases[response.id] = next_phase(ResponsePhase.REQUESTED, "created")
        if response.conversation_id is None:
            self.out_of_band.add(response.id)
        else:
            del self._create_ids[:1]
        for old in [one for one, phase in self.phases.items() if phase.ended][:-KEPT_RESPONSES]:
            del self.phases[old]
            self._formats.pop(old, None)
            self.out_of_band.discard(old)

    def _note_format(self, response: Response) -> None:
        output = (response.audio or {}).get("output")
        own = output.get("format") if isinstance(output, dict) else None
        try:
            self._formats[response.id] = msgspec.convert(own, AudioFormat) if own else self.config.audio.output.format
        except msgspec.ValidationError:
            return

    def _on_response_done(self, event: se.ResponseDone) -> None:
        response: Response = event.response
        if response.id not in self.phases:
            self._begin(response)  # its created was lost
        phase = self.phases[response.id]
        if not phase.ended and response.status != "in_progress":
            self.phases[response.id] = next_phase(phase, response.status)
        for key in [key for key, part in self.playback.parts.items() if not part.complete]:
            if any(item.id == key.item_id for item in response.output):
                self.playback.complete(key)

    def _on_part_added(self, event: se.ContentPartAdded) -> None:
        message = self._message(event.item_id)
        if message is not None and len(message.content) == event.content_index:
            message.content.append(OutputAudio(transcript="") if event.part.type == "audio" else OutputText())

    def _on_text(self, event: se.OutputTextDelta | se.OutputAudioTranscriptDelta) -> None:
        part = self._part(event.item_id, event.content_index)
        if isinstance(part, OutputText):
            part.text += event.delta
        elif isinstance(part, OutputAudio):
            part.transcript = (part.transcript or "") + event.delta

    def output_format(self, response_id: str) -> AudioFormat:
        """Return the audio format of a response: its own, else the session's."""
        return self._formats.get(response_id, self.config.audio.output.format)

    def _on_audio(self, event: se.OutputAudioDelta) -> None:
        format_bytes_per_ms = bytes_per_ms(self.output_format(event.response_id))
        samples = len(event.delta) // 2 if format_bytes_per_ms == 48 else len(event.delta) * 3
        self.playback.received(PlaybackKey(event.item_id, event.content_index), samples)

    def _on_audio_done(self, event: se.OutputAudioDone) -> None:
        self.playback.complete(PlaybackKey(event.item_id, event.content_index))

    def _message(self, item_id: str) -> Message | None:
        item = self.conversation.get(item_id)
        return item if isinstance(item, Message) else None

    def _part(self, item_id: str, content_index: int) -> Any:
        message = self._message(item_id)
        return message.content[content_index] if message and 0 <= content_index < len(message.content) else None


_HANDLERS: dict[type, Any] = {
    se.SessionCreated: ClientProtocol._on_session,
    se.SessionUpdated: ClientProtocol._on_session,
    se.ErrorEvent: ClientProtocol._on_error,
    se.ConversationItemAdded: ClientProtocol._on_added,
    se.ConversationItemCreated: ClientProtocol._on_added,
    se.ConversationItemDone: ClientProtocol._on_added,
    se.ConversationItemRetrieved: ClientProtocol._on_retrieved,
    se.ConversationItemDeleted: ClientProtocol._on_deleted,
    se.ConversationItemTruncated: ClientProtocol._on_truncated,
    se.InputAudioBufferCommitted: ClientProtocol._on_committed,
    se.TranscriptionCompleted: ClientProtocol._on_transcription,
    se.ResponseCreated: ClientProtocol._on_response_created,
    se.ResponseDone: ClientProtocol._on_response_done,
    se.ContentPartAdded: ClientProtocol._on_part_added,
    se.OutputTextDelta: ClientProtocol._on_text,
    se.OutputAudioTranscriptDelta: ClientProtocol._on_text,
    se.OutputAudioDelta: ClientProtocol._on_audio,
    se.OutputAudioDone: ClientProtocol._on_audio_done,
}
