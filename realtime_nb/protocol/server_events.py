"""The events that a server may send, one struct each, as the GA shape has them.

Fields that a strict client wants are required; fields that real servers leave out are optional, so that a client of
ours reads lenient servers too. `RC` below is the quintet that every delta carries.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .items import Item
from .response import Response


class ServerEventBase(msgspec.Struct, kw_only=True, tag_field="type"):
    """Base of server events."""

    event_id: str | UnsetType = UNSET


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What went wrong; `event_id` is the id of the client's event at fault, or null."""

    type: str
    code: str | None = None
    message: str = ""
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(ServerEventBase, tag="error", kw_only=True):
    error: ErrorDetails


class SessionCreated(ServerEventBase, tag="session.created", kw_only=True):
    session: dict[str, Any]


class SessionUpdated(ServerEventBase, tag="session.updated", kw_only=True):
    session: dict[str, Any]


class ConversationCreated(ServerEventBase, tag="conversation.created", kw_only=True):
    conversation: dict[str, Any]


class RateLimit(msgspec.Struct, kw_only=True):
    name: str
    limit: int
    remaining: int
    reset_seconds: float


class RateLimitsUpdated(ServerEventBase, tag="rate_limits.updated", kw_only=True):
    rate_limits: list[RateLimit]


# --- input audio ------------------------------------------------------------------------------------------------


class SpeechStarted(ServerEventBase, tag="input_audio_buffer.speech_started", kw_only=True):
    """`audio_start_ms` counts all audio appended in the session and includes the prefix padding."""

    audio_start_ms: int
    item_id: str


class SpeechStopped(ServerEventBase, tag="input_audio_buffer.speech_stopped", kw_only=True):
    audio_end_ms: int
    item_id: str


class InputAudioBufferCommitted(ServerEventBase, tag="input_audio_buffer.committed", kw_only=True):
    item_id: str
    previous_item_id: str | None | UnsetType = UNSET


class InputAudioBufferCleared(ServerEventBase, tag="input_audio_buffer.cleared", kw_only=True):
    pass


class TimeoutTriggered(ServerEventBase, tag="input_audio_buffer.timeout_triggered", kw_only=True):
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class DtmfEventReceived(ServerEventBase, tag="input_audio_buffer.dtmf_event_received", kw_only=True):
    event: str
    received_at: int


# --- conversation -----------------------------------------------------------------------------------------------


class ConversationItemAdded(ServerEventBase, tag="conversation.item.added", kw_only=True):
    item: Item
    previous_item_id: str | None | UnsetType = UNSET


class ConversationItemDone(ServerEventBase, tag="conversation.item.done", kw_only=True):
    item: Item
    previous_item_id: str | None | UnsetType = UNSET


class ConversationItemCreated(ServerEventBase, tag="conversation.item.created", kw_only=True):
    """Beta's name; some compatible servers still send it."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET


class ConversationItemRetrieved(ServerEventBase, tag="conversation.item.retrieved", kw_only=True):
    item: Item


class ConversationItemTruncated(ServerEventBase, tag="conversation.item.truncated", kw_only=True):
    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDeleted(ServerEventBase, tag="conversation.item.deleted", kw_only=True):
    item_id: str


class TranscriptionDelta(ServerEventBase, tag="conversation.item.input_audio_transcription.delta", kw_only=True):
    item_id: str
    content_index: int = 0
    delta: str = ""
    logprobs: list[dict[str, Any]] | None | UnsetType = UNSET


class TranscriptionCompleted(
    ServerEventBase, tag="conversation.item.input_audio_transcription.completed", kw_only=True
):
    item_id: str
    content_index: int = 0
    transcript: str = ""
    usage: dict[str, Any] | None = None
    logprobs: list[dict[str, Any]] | None | UnsetType = UNSET
    languages: list[Any] | None | UnsetType = UNSET


class TranscriptionFailed(ServerEventBase, tag="conversation.item.input_audio_transcription.failed", kw_only=True):
    item_id: str
    content_index: int = 0
    error: ErrorDetails


class TranscriptionSegment(ServerEventBase, tag="conversation.item.input_audio_transcription.segment", kw_only=True):
    id: str
    item_id: str
    content_index: int
    text: str
    speaker: str
    start: float
    end: float


# --- response ---------------------------------------------------------------------------------------------------


class ResponseCreated(ServerEventBase, tag="response.created", kw_only=True):
    response: Response


class ResponseDone(ServerEventBase, tag="response.done", kw_only=True):
    response: Response


class OutputItemAdded(ServerEventBase, tag="response.output_item.added", kw_only=True):
    response_id: str = ""
    output_index: int = 0
    item: Item


class OutputItemDone(ServerEventBase, tag="response.output_item.done", kw_only=True):
    response_id: str = ""
    output_index: int = 0
    item: Item


class RC(ServerEventBase, kw_only=True):
    """response_id, item_id, output_index, content_index (and event_id)."""

    response_id: str = ""
    item_id: str
    output_index: int = 0
    content_index: int = 0


class PartPreview(msgspec.Struct, kw_only=True):
    """The part in `content_part.*`: type `audio` or `text`, not `output_audio`."""

    type: str
    text: str | UnsetType = UNSET
    transcript: str | None | UnsetType = UNSET
    audio: str | UnsetType = UNSET


class ContentPartAdded(RC, tag="response.content_part.added", kw_only=True):
    part: PartPreview


class ContentPartDone(RC, tag="response.content_part.done", kw_only=True):
    part: PartPreview


class OutputTextDelta(RC, tag="response.output_text.delta", kw_only=True):
    delta: str


class OutputTextDone(RC, tag="response.output_text.done", kw_only=True):
    text: str = ""


class OutputAudioTranscriptDelta(RC, tag="response.output_audio_transcript.delta", kw_only=True):
    delta: str


class OutputAudioTranscriptDone(RC, tag="response.output_audio_transcript.done", kw_only=True):
    transcript: str = ""


class OutputAudioDelta(RC, tag="response.output_audio.delta", kw_only=True):
    """`delta` is audio in the session's output format (bytes here, base64 on the wire)."""

    delta: bytes


class OutputAudioDone(RC, tag="response.output_audio.done", kw_only=True):
    pass


class FunctionCallArgumentsDelta(ServerEventBase, tag="response.function_call_arguments.delta", kw_only=True):
    response_id: str = ""
    item_id: str
    output_index: int = 0
    call_id: str
    delta: str


class FunctionCallArgumentsDone(ServerEventBase, tag="response.function_call_arguments.done", kw_only=True):
    response_id: str = ""
    item_id: str
    output_index: int = 0
    call_id: str
    name: str = ""
    arguments: str


class OutputAudioBufferStarted(ServerEventBase, tag="output_audio_buffer.started", kw_only=True):
    response_id: str


class OutputAudioBufferStopped(ServerEventBase, tag="output_audio_buffer.stopped", kw_only=True):
    response_id: str


class OutputAudioBufferCleared(ServerEventBase, tag="output_audio_buffer.cleared", kw_only=True):
    response_id: str


# --- MCP --------------------------------------------------------------------------------------------------------


class McpListToolsInProgress(ServerEventBase, tag="mcp_list_tools.in_progress", kw_only=True):
    item_id: str


class McpListToolsCompleted(ServerEventBase, tag="mcp_list_tools.completed", kw_only=True):
    item_id: str


class McpListToolsFailed(ServerEventBase, tag="mcp_list_tools.failed", kw_only=True):
    item_id: str


class McpCallArgumentsDelta(ServerEventBase, tag="response.mcp_call_arguments.delta", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | None | UnsetType = UNSET


class McpCallArgumentsDone(ServerEventBase, tag="response.mcp_call_arguments.done", kw_only=True):
    response_id: str
    item_id: str
    output_index: int
    arguments: str


class McpCallInProgress(ServerEventBase, tag="response.mcp_call.in_progress", kw_only=True):
    output_index: int
    item_id: str


class McpCallCompleted(ServerEventBase, tag="response.mcp_call.completed", kw_only=True):
    output_index: int
    item_id: str


class McpCallFailed(ServerEventBase, tag="response.mcp_call.failed", kw_only=True):
    output_index: int
    item_id: str


# --- what is not in the union -----------------------------------------------------------------------------------


class UnknownEvent(msgspec.Struct, kw_only=True):
    """An event that this version does not know, or whose shape is not the documented one. Kept raw.

    Attributes:
        type: the wire's type, "" when there was none.
        raw: the whole JSON value.
        problem: why it was not typed.
    """

    type: str
    raw: Any
    problem: str = ""


def _leaves(base: type[ServerEventBase]) -> list[type[ServerEventBase]]:
    found: list[type[ServerEventBase]] = []
    for event in base.__subclasses__():
        found.extend(_leaves(event) if event is RC else [event])
    return found


SERVER_EVENT_TYPES: dict[str, type[ServerEventBase]] = {
    str(event.__struct_config__.tag): event for event in _leaves(ServerEventBase)
}
