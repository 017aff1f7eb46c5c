"""A response as the server writes it: the envelope in order, exactly one end, and what truncation will need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from realtime_nb.errors import LocalProtocolError

from . import server_events as se
from .items import FunctionCall, Item, Message, OutputAudio, OutputText, without_audio
from .response import (
    Response,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseOptions,
    ResponsePhase,
    StatusDetails,
    StatusError,
    Usage,
    next_phase,
)
from .session_config import AudioFormat, SessionConfig, bytes_per_ms, voice_name
from .spoken import SpokenMark

if TYPE_CHECKING:
    from .server import ServerProtocol


class ResponseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one response runs with: the session's settings with `response.create`'s on top."""

    output_modality: str
    voice: str
    format: AudioFormat
    speed: float
    instructions: str
    tools: list[dict[str, Any]]
    tool_choice: Any
    max_output_tokens: int | str
    in_conversation: bool
    input: list[Item] | None
    metadata: dict[str, str] | None


class ServerResponse:
    """One response being written.

    The driver calls `begin_message`, `text` or `transcript`/`audio`/`spoken`, `end_message`, `function_call` in any
    sensible order and ends with one of `complete`, `cancel`, `fail`, `incomplete`. After the end every further call
    is ignored, so a producer that lost the race does no harm.
    """

    def __init__(self, protocol: ServerProtocol, response_id: str, settings: ResponseSettings) -> None:
        self._protocol = protocol
        self.id = response_id
        self.settings = settings
        self.phase = ResponsePhase.REQUESTED
        self.output: list[Item] = []
        self.audio_bytes = 0
        self.characters = 0
        self._audio = bytearray()
        self._words = ""
        self._marks: list[SpokenMark] = []
        self._cut = False
        self._open_message: Message | None = None

    @property
    def ended(self) -> bool:
        """True after the one terminal event."""
        return self.phase.ended

    def wire(self, *, status_details: StatusDetails | None = None, usage: Usage | None = None) -> Response:
        """Return the response object as events show it."""
        status = "in_progress" if not self.ended else self.phase.value
        settings = self.settings
        return Response(
            id=self.id,
            status=status,  # type: ignore[arg-type]
            status_details=status_details,
            output=[without_audio(item) for item in self.output] if self.ended else [],
            conversation_id=self._protocol.conversation_id if settings.in_conversation else None,
            output_modalities=[settings.output_modality],
            max_output_tokens=settings.max_output_tokens,
            audio={"output": {"format": msgspec.to_builtins(settings.format), "voice": settings.voice}},
            usage=usage,
            metadata=settings.metadata,
        )

    def create(self) -> None:
        """Announce the response."""
        self.phase = next_phase(self.phase, "created")
        self._emit(se.ResponseCreated(response=self.wire()))

    # --- messages -----------------------------------------------------------------------------------------------

    def begin_message(self) -> str:
        """Open an assistant message with one part and return its item id ("" after the end)."""
        if self.ended:
            return ""
        if self._open_message is not None:
            raise LocalProtocolError("A message of this response is still open.")
        spoken = self.settings.output_modality == "audio"
        message = Message(id=self._protocol.ids.new("item"), role="assistant", status="in_progress", content=[])
        self._add(message)
        message.content.append(OutputAudio(transcript="") if spoken else OutputText())
        self._open_message = message
        self._audio.clear()
        self._words = ""
        self._marks = []
        self._cut = False
        part = se.PartPreview(type="audio", transcript="") if spoken else se.PartPreview(type="text", text="")
        self._emit(se.ContentPartAdded(part=part, **self._rc()))
        return str(message.id)

    def text(self, delta: str) -> None:
        """Append to a text answer."""
        part = self._open_part()
        if isinstance(part, OutputText):
            part.text += delta
            self.characters += len(delta)
            self._emit(se.OutputTextDelta(delta=delta, **self._rc()))

    def transcript(self, delta: str) -> None:
        """Append to the transcript of a spoken answer; it may run ahead of the audio."""
        part = self._open_part()
        if isinstance(part, OutputAudio):
            self._words += delta
            if not self._cut:
                part.transcript = self._words
            self.characters += len(delta)
            self._emit(se.OutputAudioTranscriptDelta(delta=delta, **self._rc()))

    def audio(self, audio: bytes) -> None:
        """Append audio in the response's wire format."""
        if isinstance(self._open_part(), OutputAudio) and audio:
            self._audio += audio
            self.audio_bytes += len(audio)
            self._emit(se.OutputAudioDelta(delta=audio, **self._rc()))

    def spoken(self, audio_end_ms: float, characters: int) -> None:
        """Tie audio to words: at `audio_end_ms` of this item its first `characters` have been said."""
        if self._open_message is not None:
            self._marks.append(SpokenMark(audio_end_ms, characters))

    def measure(self, item_id: str) -> None:
        """Make an open spoken message known to truncation, as far as it has come."""
        message = self._open_message
        part = message.content[0] if message is not None and message.id == item_id else None
        if isinstance(part, OutputAudio) and not self._cut:
            part.audio = bytes(self._audio)
            per_ms = bytes_per_ms(self.settings.format)
            if self._protocol.conversation.get(item_id) is message:
                self._protocol.spoken.note_speech(item_id, list(self._marks), len(self._audio) / per_ms, per_ms)

    def was_cut(self, item_id: str) -> None:
        """An open message was truncated: what it still gets is sent, but is no part of the conversation."""
        if self._open_message is not None and self._open_message.id == item_id:
            self._cut = True

    def end_message(self, status: str = "completed") -> None:
        """Close the open message with all its dones."""
        message = self._open_message
        if message is None:
            return
        part = message.content[0]
        if isinstance(part, OutputAudio):
            self._emit(se.OutputAudioDone(**self._rc()))
            self._emit(se.OutputAudioTranscriptDone(transcript=self._words, **self._rc()))
            preview = se.PartPreview(type="audio", transcript=self._words)
            self.measure(str(message.id))
        else:
            words = part.text if isinstance(part, OutputText) else ""
            self._emit(se.OutputTextDone(text=words, **self._rc()))
            preview = se.PartPreview(type="text", text=words)
        self._emit(se.ContentPartDone(part=preview, **self._rc()))
        message.status = status  # type: ignore[assignment]
        self._open_message = None
        self._done(message)

    def function_call(self, name: str, arguments: str) -> str:
        """Write a whole function call and return its call id ("" after the end)."""
        if self.ended:
            return ""
        self.end_message()
        call_id = self._protocol.ids.new("call")
        call = FunctionCall(
            id=self._protocol.ids.new("item"), status="in_progress", name=name, call_id=call_id, arguments=""
        )
        self._add(call)
        where: dict[str, Any] = {
            "response_id": self.id,
            "item_id": str(call.id),
            "output_index": len(self.output) - 1,
            "call_id": call_id,
        }
        self._emit(se.FunctionCallArgumentsDelta(delta=arguments, **where))
        self._emit(se.FunctionCallArgumentsDone(name=name, arguments=arguments, **where))
        call.arguments = arguments
        call.status = "completed"
        self.characters += len(name) + len(arguments)
        self._done(call)
        return call_id

    # --- ends ---------------------------------------------------------------------------------------------------

    def complete(self) -> None:
        """End well."""
        self._end("completed", None)

    def cancel(self, reason: str) -> None:
        """End early: reason `turn_detected` or `client_cancelled`."""
        self._end("cancelled", StatusDetails(type="cancelled", reason=reason))

    def incomplete(self, reason: str) -> None:
        """End at a limit: reason `max_output_tokens` or `content_filter`."""
        self._end("incomplete", StatusDetails(type="incomplete", reason=reason))

    def fail(self, *, code: str, message: str, type: str = "server_error") -> None:
        """End with an error."""
        error = StatusError(type=type, code=code, message=message)
        self._end("failed", StatusDetails(type="failed", error=error))

    def _end(self, status: str, details: StatusDetails | None) -> None:
        if self.ended:
            return
        self.end_message("completed" if status == "completed" else "incomplete")
        self.phase = next_phase(self.phase, status)
        usage = self._protocol.meter(self)
        self._emit(se.ResponseDone(response=self.wire(status_details=details, usage=usage)))
        self._protocol.response_ended(self)

    # --- shared -------------------------------------------------------------------------------------------------

    def _open_part(self) -> OutputText | OutputAudio | None:
        if self.ended or self._open_message is None:
            return None
        part = self._open_message.content[0]
        return part if isinstance(part, OutputText | OutputAudio) else None

    def _rc(self) -> dict[str, Any]:
        item_id = str(self.output[-1].id)
        return {"response_id": self.id, "item_id": item_id, "output_index": len(self.output) - 1, "content_index": 0}

    def _add(self, item: Item) -> None:
        self.output.append(item)
        shown = (
            msgspec.structs.replace(item, content=[]) if isinstance(item, Message) else msgspec.structs.replace(item)
        )
        self._emit(se.OutputItemAdded(response_id=self.id, output_index=len(self.output) - 1, item=shown))
        if self.settings.in_conversation:
            previous = self._protocol.conversation.insert(item)
            self._emit(se.ConversationItemAdded(item=shown, previous_item_id=previous))

    def _done(self, item: Item) -> None:
        shown = without_audio(item)
        if self._protocol.conversation.get(str(item.id)) is item:
            previous = self._protocol.conversation.previous_id(str(item.id))
            self._emit(se.ConversationItemDone(item=shown, previous_item_id=previous))
        self._emit(se.OutputItemDone(response_id=self.id, output_index=len(self.output) - 1, item=shown))

    def _emit(self, event: se.ServerEventBase) -> None:
        self._protocol.emit(event)


def settings_for(config: SessionConfig, options: ResponseOptions | None, items: list[Item] | None) -> ResponseSettings:
    """Return the session's settings with one response's options on top."""
    asked = options or ResponseOptions()
    audio = _given(_given(asked.audio, ResponseAudio()).output, ResponseAudioOutput())
    return ResponseSettings(
        output_modality=_given(asked.output_modalities, config.output_modalities)[0],
        voice=voice_name(_given(audio.voice, config.audio.output.voice)),
        format=_given(audio.format, config.audio.output.format),
        speed=config.audio.output.speed,
        instructions=_given(asked.instructions, config.instructions),
        tools=_given(asked.tools, config.tools),
        tool_choice=_given(asked.tool_choice, config.tool_choice),
        max_output_tokens=_given(asked.max_output_tokens, config.max_output_tokens),
        in_conversation=_given(asked.conversation, "auto") != "none",
        input=items,
        metadata=_given(asked.metadata, None),
    )


def _given(value: Any, default: Any) -> Any:
    return default if value is UNSET or value is None else value
