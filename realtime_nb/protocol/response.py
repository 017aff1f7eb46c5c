"""A response: its wire object, its usage, and its life as a table."""

from __future__ import annotations

import enum
from math import ceil
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from realtime_nb.errors import LocalProtocolError

from .items import InputItem, Item
from .session_config import AudioFormat, CustomVoice, MaxOutputTokens, OutputModalities, Reasoning, ToolChoice

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


class CachedTokenDetails(msgspec.Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0


class InputTokenDetails(msgspec.Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    cached_tokens_details: CachedTokenDetails = msgspec.field(default_factory=CachedTokenDetails)


class OutputTokenDetails(msgspec.Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens of one response; `input_tokens` counts the whole conversation re-read, not only the new turn."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: InputTokenDetails = msgspec.field(default_factory=InputTokenDetails)
    output_token_details: OutputTokenDetails = msgspec.field(default_factory=OutputTokenDetails)


TRANSCRIPTION_TOKENS_PER_SECOND = 10
TRANSCRIPTION_CHARACTERS_PER_TOKEN = 4


def transcription_usage(model: str | None, seconds: float, transcript: str) -> dict[str, Any]:
    """Return the usage of one transcription: tokens for models named `gpt-…`, the duration for others (Whisper)."""
    if not (model or "").startswith("gpt-"):
        return {"type": "duration", "seconds": round(seconds, 3)}
    heard = ceil(round(seconds * TRANSCRIPTION_TOKENS_PER_SECOND, 6))
    written = ceil(len(transcript) / TRANSCRIPTION_CHARACTERS_PER_TOKEN)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "output_tokens": written,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
    }


class StatusError(msgspec.Struct, kw_only=True):
    type: str | None = None
    code: str | None = None
    message: str | None = None


class StatusDetails(msgspec.Struct, kw_only=True):
    """Why a response ended: reason `turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`."""

    type: str | None = None
    reason: str | None = None
    error: StatusError | UnsetType = UNSET


class Response(msgspec.Struct, kw_only=True):
    """The wire's `realtime.response`: every key always present, null when empty."""

    id: str
    object: Literal["realtime.response"] = "realtime.response"
    status: ResponseStatus = "in_progress"
    status_details: StatusDetails | None = None
    output: list[Item] = []
    conversation_id: str | None = None
    output_modalities: list[str] = []
    max_output_tokens: int | str | None = "inf"
    audio: dict[str, Any] | None = None
    usage: Usage | None = None
    metadata: dict[str, str] | None = None


class ResponseAudioOutput(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: AudioFormat | None | UnsetType = UNSET
    voice: str | CustomVoice | None | UnsetType = UNSET


class ResponseAudio(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    output: ResponseAudioOutput | None | UnsetType = UNSET


MetadataKey = Annotated[str, Meta(max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=16)]


class ResponseOptions(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`response.create.response`: settings of one response, all optional."""

    output_modalities: OutputModalities | None | UnsetType = UNSET
    audio: ResponseAudio | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET
    tools: list[dict[str, Any]] | None | UnsetType = UNSET
    tool_choice: ToolChoice | None | UnsetType = UNSET
    parallel_tool_calls: bool | None | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | None | UnsetType = UNSET
    conversation: Literal["auto", "none"] | None | UnsetType = UNSET
    input: list[InputItem] | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    prompt: dict[str, Any] | None | UnsetType = UNSET
    reasoning: Reasoning | None | UnsetType = UNSET


class ResponsePhase(enum.Enum):
    """Where a response is in its life."""

    REQUESTED = "requested"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INCOMPLETE = "incomplete"

    @property
    def ended(self) -> bool:
        """True for the four ends."""
        return self not in (ResponsePhase.REQUESTED, ResponsePhase.IN_PROGRESS)


RESPONSE_LIFE: dict[ResponsePhase, dict[str, ResponsePhase]] = {
    ResponsePhase.REQUESTED: {
        "created": ResponsePhase.IN_PROGRESS,
        "refused": ResponsePhase.FAILED,
    },
    ResponsePhase.IN_PROGRESS: {
        "output": ResponsePhase.IN_PROGRESS,
        "completed": ResponsePhase.COMPLETED,
        "cancelled": ResponsePhase.CANCELLED,
        "failed": ResponsePhase.FAILED,
        "incomplete": ResponsePhase.INCOMPLETE,
    },
    ResponsePhase.COMPLETED: {},
    ResponsePhase.CANCELLED: {},
    ResponsePhase.FAILED: {},
    ResponsePhase.INCOMPLETE: {},
}
"""(phase, event) → phase. Ends have no moves: exactly one terminal event per response."""


def next_phase(phase: ResponsePhase, event: str) -> ResponsePhase:
    """Return the phase after `event`.

    Raises:
        LocalProtocolError: naming the phase and the event, when the table has no such move.
    """
    try:
        return RESPONSE_LIFE[phase][event]
    except KeyError:
        raise LocalProtocolError(f"A response that is {phase.value} cannot take {event!r}.") from None
