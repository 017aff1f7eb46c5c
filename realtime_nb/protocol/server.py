"""The server's machine: every client event checked, answered and turned into what the driver must do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from realtime_nb.errors import RemoteProtocolError

from . import client_events as ce
from . import server_events as se
from .codec import decode_client_event
from .connection import Connection
from .conversation import Conversation
from .ids import IdFactory
from .input_buffer import InputBuffer
from .item_rules import check_input, check_new_item
from .items import FunctionCall, InputAudio, Item, ItemReference, Message, without_audio
from .response import ResponseOptions, Usage, transcription_usage
from .server_actions import (
    Action,
    AudioAppended,
    BufferCleared,
    Committed,
    ResponseRequested,
    ResponseStopped,
    SessionChanged,
)
from .server_response import ServerResponse, settings_for
from .session_config import (
    VOICE_IS_LOCKED,
    SessionConfig,
    bytes_per_ms,
    check_prompt,
    check_tools,
    check_voice,
    merge,
    no_logprobs,
    session_object,
    voice_name,
    without_noise_reduction,
)
from .spoken import AudioLedger

MAX_MESSAGE_CHARACTERS = 1000
MAX_PARAM_CHARACTERS = 200
MAX_ITEMS = 10_000
"""In a conversation; clients can add no more (the API documents no limit). What is being spoken is still kept."""


class ServerProtocol(Connection):
    """Server side of one Realtime connection.

    Args:
        config: the session's settings, with `id`, `model` and `expires_at` filled.
        ids: where identifiers come from.
        meter: gives the usage of a response that ended.
        voices: the names that can be chosen, any if there are none.
        reduces_noise: False leaves that setting null, whatever is asked for.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        ids: IdFactory | None = None,
        meter: Callable[[ServerResponse], Usage] | None = None,
        voices: tuple[str, ...] = (),
        reduces_noise: bool = True,
    ) -> None:
        super().__init__(ids=ids)
        self._reduces_noise = reduces_noise
        self.config = config if reduces_noise else without_noise_reduction(config)
        self.conversation_id = self.ids.new("conv")
        self.input_buffer = InputBuffer(bytes_per_ms(config.audio.input.format))
        self.meter = meter or (lambda response: Usage())
        self.voices = voices
        self.active: dict[str, ServerResponse] = {}
        self.speech_item_id: str | None = None
        self.spoken = AudioLedger()
        self._spoken_voice: str | None = None

    def open(self) -> None:
        """Queue `session.created`; call once, first."""
        self.emit(se.SessionCreated(session=session_object(self.config)))

    def close(self) -> None:
        """The connection has ended: forget the conversation with all its audio."""
        self.conversation = Conversation()
        self.input_buffer.clear()
        self.spoken = AudioLedger()
        self.active.clear()

    @property
    def active_default(self) -> ServerResponse | None:
        """The default conversation's response in progress."""
        return next((one for one in self.active.values() if one.settings.in_conversation), None)

    def emit(self, event: se.ServerEventBase) -> None:
        """Queue an event of the driver's own (rate limits, transcription)."""
        if isinstance(event, se.OutputAudioDelta) and self._spoken_voice is None:
            speaking = self.active.get(event.response_id)
            self._spoken_voice = speaking.settings.voice if speaking else voice_name(self.config.audio.output.voice)
        self._queue(event)

    def error(self, problem: RemoteProtocolError, *, type: str = "invalid_request_error") -> None:
        """Queue an `error` event; the session goes on. What it quotes of the client's is cut to a bound."""
        details = se.ErrorDetails(
            type=type,
            code=problem.code,
            message=_cut(problem.message, MAX_MESSAGE_CHARACTERS),
            param=problem.param and _cut(problem.param, MAX_PARAM_CHARACTERS),
            event_id=problem.event_id,
        )
        self.emit(se.ErrorEvent(error=details))

    def receive(self, frame: str | bytes) -> list[Action]:
        """Read one frame: queue the answers and return what the driver must do. Never raises.

        A refused event queues one `error` and changes nothing.
        """
        event_id = None
        try:
            event = decode_client_event(frame)
            event_id = event.event_id if isinstance(event.event_id, str) else None
            return self._handle(event)
        except RemoteProtocolError as problem:
            problem.event_id = problem.event_id or event_id or None
            self.error(problem)
            return []

    def _handle(self, event: ce.ClientEvent) -> list[Action]:
        return _HANDLERS[type(event)](self, event)

    def _on_append(self, event: ce.InputAudioBufferAppend) -> list[Action]:
        self.input_buffer.append(event.audio)
        return [AudioAppended(event.audio)]

    def _on_session_update(self, event: ce.SessionUpdate) -> list[Action]:
        return self._update_session(event.session)

    def _on_commit(self, event: ce.InputAudioBufferCommit) -> list[Action]:
        self._check_room()
        return [self._commit(self.input_buffer.take_all())]

    def _on_clear(self, event: ce.InputAudioBufferClear) -> list[Action]:
        self.input_buffer.clear()
        self.speech_item_id = None
        self.emit(se.InputAudioBufferCleared())
        return [BufferCleared()]

    def _on_retrieve(self, event: ce.ConversationItemRetrieve) -> list[Action]:
        item = msgspec.structs.replace(self._find(event.item_id, "retrieve"), object="realtime.item")
        self.emit(se.ConversationItemRetrieved(item=item))
        return []

    def _on_delete(self, event: ce.ConversationItemDelete) -> list[Action]:
        self._find(event.item_id, "delete")
        self.conversation.delete(event.item_id)
        self.spoken.forget(event.item_id)
        self.emit(se.ConversationItemDeleted(item_id=event.item_id))
        return []

    def _on_response_create(self, event: ce.ResponseCreate) -> list[Action]:
        options = event.response if isinstance(event.response, ResponseOptions) else None
        self._check_room()
        return [ResponseRequested(self.create_response(options))]

    def _on_output_clear(self, event: ce.OutputAudioBufferClear) -> list[Action]:
        raise RemoteProtocolError(
            "output_audio_buffer.clear is for WebRTC and SIP connections only.", code="invalid_value", param="type"
        )

    # --- session and items --------------------------------------------------------------------------------------

    def _update_session(self, patch: dict[str, Any]) -> list[Action]:
        before = self.config
        after = merge(before, patch, voice_locked=self._spoken_voice is not None)
        check_voice(voice_name(after.audio.output.voice), self.voices, "session.audio.output.voice")
        if self.active_default is not None and after.audio.output.speed != before.audio.output.speed:
            raise RemoteProtocolError(
                "The speed can be changed between turns only, not while a response is in progress.",
                code="invalid_value",
                param="session.audio.output.speed",
            )
        noise_ignored = after.audio.input.noise_reduction is not None and not self._reduces_noise
        self.config = without_noise_reduction(after) if noise_ignored else after
        self.input_buffer.change_format(bytes_per_ms(self.config.audio.input.format))
        self.emit(se.SessionUpdated(session=session_object(self.config)))
        return [SessionChanged(before, self.config, noise_ignored)]

    def _create_item(self, event: ce.ConversationItemCreate) -> list[Action]:
        item = event.item
        check_new_item(item)
        self._check_room()
        if not item.id:
            item.id = self.ids.new("item")
        if item.id in self.conversation:
            raise RemoteProtocolError(
                f"Error adding item: an item with id '{item.id}' already exists.",
                code="item_create_duplicate_item_id",
            )
        item.status = "completed"
        if isinstance(item, FunctionCall) and not item.call_id:
            item.call_id = self.ids.new("call")
        try:
            previous = self.conversation.insert(item, previous_item_id=event.previous_item_id or None)
        except KeyError:
            raise RemoteProtocolError(
                f"Error adding item: the previous item with id '{event.previous_item_id}' does not exist.",
                code="item_create_invalid_previous_item_id",
                param="previous_item_id",
            ) from None
        self.spoken.note_user_item(item, self.input_buffer.bytes_per_ms)
        self._announce(item, previous)
        return []

    def _announce(self, item: Item, previous: str | None) -> None:
        shown = without_audio(item)
        self.emit(se.ConversationItemAdded(item=shown, previous_item_id=previous))
        self.emit(se.ConversationItemDone(item=shown, previous_item_id=previous))

    def _find(self, item_id: str, verb: str) -> Item:
        if item_id not in self.conversation:
            doing = {"retrieve": "retrieving", "delete": "deleting", "truncate": "truncating"}[verb]
            raise RemoteProtocolError(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                code=f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return self.conversation[item_id]

    def _truncate(self, event: ce.ConversationItemTruncate) -> list[Action]:
        item = self._find(event.item_id, "truncate")
        for response in self.active.values():
            response.measure(event.item_id)
        self.spoken.truncate(item, event.content_index, event.audio_end_ms)
        for response in self.active.values():
            response.was_cut(event.item_id)
        self.emit(
            se.ConversationItemTruncated(
                item_id=event.item_id, content_index=event.content_index, audio_end_ms=event.audio_end_ms
            )
        )
        return []

    # --- speech and turns ---------------------------------------------------------------------------------------

    def speech_started(self, audio_start_ms: int) -> list[Action]:
        """Speech began: announce it and, where the settings say so, interrupt the default response."""
        self.speech_item_id = self.ids.new("item")
        self.emit(se.SpeechStarted(audio_start_ms=audio_start_ms, item_id=self.speech_item_id))
        detection = self.config.audio.input.turn_detection
        active = self.active_default
        if detection is not None and detection.interrupt_response and active is not None:
            active.cancel("turn_detected")
            return [ResponseStopped(active)]
        return []

    def reserve_user_item(self) -> str:
        """Return the id that the next committed item will have, choosing it now (push-to-talk)."""
        self.speech_item_id = self.speech_item_id or self.ids.new("item")
        return self.speech_item_id

    def speech_stopped(self, audio_end_ms: int, *, start_ms: float) -> Committed:
        """Speech ended: announce it, commit its audio from `start_ms`, and return the user item."""
        item_id = self.speech_item_id or self.ids.new("item")
        self.emit(se.SpeechStopped(audio_end_ms=audio_end_ms, item_id=item_id))
        return self._commit(self.input_buffer.take(start_ms, audio_end_ms))

    def idle_timed_out(self) -> Committed:
        """Nobody spoke for long: announce it, commit the silence kept, and return the user item."""
        start_ms, end_ms = self.input_buffer.start_ms, self.input_buffer.end_ms
        item_id = self.reserve_user_item()
        self.emit(se.TimeoutTriggered(audio_start_ms=round(start_ms), audio_end_ms=round(end_ms), item_id=item_id))
        return self._commit(self.input_buffer.take(start_ms, end_ms))

    def _commit(self, audio: bytes) -> Committed:
        item_id = self.speech_item_id or self.ids.new("item")
        self.speech_item_id = None
        item = Message(id=item_id, role="user", status="completed", content=[InputAudio(audio=audio, transcript=None)])
        previous = self.conversation.insert(item)
        self.spoken.note_user_item(item, self.input_buffer.bytes_per_ms)
        self.emit(se.InputAudioBufferCommitted(item_id=item_id, previous_item_id=previous))
        self._announce(item, previous)
        return Committed(item, audio)

    def transcribed(self, item_id: str, transcript: str, *, seconds: float) -> None:
        """The user's audio was recognised; announce it (whether it was asked for is the driver's to know)."""
        self.note_transcript(item_id, transcript)
        transcription = self.config.audio.input.transcription
        usage = transcription_usage(transcription.model if transcription else None, seconds, transcript)
        logprobs = no_logprobs(self.config)
        self.emit(se.TranscriptionCompleted(item_id=item_id, transcript=transcript, usage=usage, logprobs=logprobs))

    def note_transcript(self, item_id: str, transcript: str) -> None:
        """Keep what was recognised, for later responses; sends nothing."""
        item = self.conversation.get(item_id)
        if isinstance(item, Message) and item.content and isinstance(item.content[0], InputAudio):
            item.content[0].transcript = transcript

    # --- responses ----------------------------------------------------------------------------------------------

    def create_response(self, options: ResponseOptions | None = None) -> ServerResponse:
        """Start a response and queue `response.created`.

        Raises:
            RemoteProtocolError: `conversation_already_has_active_response` and friends; nothing was started.
        """
        if self.config.type == "transcription":
            raise RemoteProtocolError(
                "A transcription session creates no responses.", code="invalid_value", param="type"
            )
        settings = settings_for(self.config, options, self._resolve_input(options))
        check_tools(settings.tools, settings.tool_choice, prefix="response")
        if options is not None and isinstance(options.prompt, dict):
            check_prompt(options.prompt, param="response.prompt")
        self._check_response_voice(settings.voice)
        active = self.active_default
        if settings.in_conversation and active is not None:
            raise RemoteProtocolError(
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        response = ServerResponse(self, self.ids.new("resp"), settings)
        self.active[response.id] = response
        response.create()
        return response

    def _check_response_voice(self, voice: str) -> None:
        """Once audio was sent, only the voice that it had and the session's own (which is locked then) can speak."""
        check_voice(voice, self.voices, "response.audio.output.voice")
        known = (self._spoken_voice, voice_name(self.config.audio.output.voice))
        if self._spoken_voice is not None and voice not in known:
            raise RemoteProtocolError(VOICE_IS_LOCKED, code="cannot_update_voice", param="response.audio.output.voice")

    def _check_room(self) -> None:
        if len(self.conversation) >= MAX_ITEMS:
            raise RemoteProtocolError(
                f"The conversation holds {MAX_ITEMS:,} items, which is the most. Delete some first.",
                code="conversation_full",
            )

    def _resolve_input(self, options: ResponseOptions | None) -> list[Item] | None:
        if options is None or not isinstance(options.input, list):
            return None
        check_input(options.input)
        resolved: list[Item] = []
        for item in options.input:
            resolved.append(self._find(str(item.id), "retrieve") if isinstance(item, ItemReference) else item)
        return resolved

    def response_ended(self, response: ServerResponse) -> None:
        """A response took its one terminal event."""
        self.active.pop(response.id, None)

    def _cancel(self, event: ce.ResponseCancel) -> list[Action]:
        response = self.active.get(event.response_id) if isinstance(event.response_id, str) else self.active_default
        if response is None:
            raise RemoteProtocolError(
                "Cancellation failed: no active response found.", code="response_cancel_not_active"
            )
        response.cancel("client_cancelled")
        return [ResponseStopped(response)]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


_HANDLERS: dict[type, Callable[[ServerProtocol, Any], list[Action]]] = {
    ce.InputAudioBufferAppend: ServerProtocol._on_append,
    ce.SessionUpdate: ServerProtocol._on_session_update,
    ce.InputAudioBufferCommit: ServerProtocol._on_commit,
    ce.InputAudioBufferClear: ServerProtocol._on_clear,
    ce.ConversationItemCreate: ServerProtocol._create_item,
    ce.ConversationItemRetrieve: ServerProtocol._on_retrieve,
    ce.ConversationItemTruncate: ServerProtocol._truncate,
    ce.ConversationItemDelete: ServerProtocol._on_delete,
    ce.ResponseCreate: ServerProtocol._on_response_create,
    ce.ResponseCancel: ServerProtocol._cancel,
    ce.OutputAudioBufferClear: ServerProtocol._on_output_clear,
}
