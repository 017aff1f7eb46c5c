"""Every frame judged by shape: our own types, the fields that the wire always has, and the official SDK's types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from realtime_nb.protocol.codec import decode_server_event
from realtime_nb.protocol.dialect import translate_server_event
from realtime_nb.protocol.server_events import SERVER_EVENT_TYPES, UnknownEvent

BETA_NAMES = ("conversation.item.created", "response.audio", "response.text.", "transcription_session.")

QUINTET = ("response_id", "item_id", "output_index", "content_index")
CALL = ("response_id", "item_id", "output_index", "call_id")
SESSION = ("id", "object", "type", "expires_at", "audio")
RESPONSE = (
    *("object", "id", "status", "status_details", "output", "conversation_id", "output_modalities"),
    *("max_output_tokens", "audio", "usage", "metadata"),
)

REQUIRED: dict[str, tuple[str, ...]] = {
    "error": ("error.type", "error.message"),
    "session.created": tuple(f"session.{name}" for name in SESSION),
    "session.updated": tuple(f"session.{name}" for name in SESSION),
    "rate_limits.updated": ("rate_limits",),
    "input_audio_buffer.speech_started": ("audio_start_ms", "item_id"),
    "input_audio_buffer.speech_stopped": ("audio_end_ms", "item_id"),
    "input_audio_buffer.committed": ("item_id", "previous_item_id"),
    "input_audio_buffer.timeout_triggered": ("audio_start_ms", "audio_end_ms", "item_id"),
    "conversation.item.added": ("item.id", "item.type", "item.status", "previous_item_id"),
    "conversation.item.done": ("item.id", "item.type", "item.status", "previous_item_id"),
    "conversation.item.retrieved": ("item.id", "item.type"),
    "conversation.item.deleted": ("item_id",),
    "conversation.item.truncated": ("item_id", "content_index", "audio_end_ms"),
    "conversation.item.input_audio_transcription.delta": ("item_id", "content_index", "delta"),
    "conversation.item.input_audio_transcription.completed": ("item_id", "content_index", "transcript", "usage"),
    "conversation.item.input_audio_transcription.failed": ("item_id", "content_index", "error"),
    "response.created": tuple(f"response.{name}" for name in RESPONSE),
    "response.done": tuple(f"response.{name}" for name in RESPONSE),
    "response.output_item.added": ("response_id", "output_index", "item.id", "item.type", "item.status"),
    "response.output_item.done": ("response_id", "output_index", "item.id", "item.type", "item.status"),
    "response.content_part.added": (*QUINTET, "part.type"),
    "response.content_part.done": (*QUINTET, "part.type"),
    "response.output_text.delta": (*QUINTET, "delta"),
    "response.output_text.done": (*QUINTET, "text"),
    "response.output_audio_transcript.delta": (*QUINTET, "delta"),
    "response.output_audio_transcript.done": (*QUINTET, "transcript"),
    "response.output_audio.delta": (*QUINTET, "delta"),
    "response.output_audio.done": QUINTET,
    "response.function_call_arguments.delta": (*CALL, "delta"),
    "response.function_call_arguments.done": (*CALL, "name", "arguments"),
}
"""Dotted fields that must be present (null is present), besides `event_id` and `type`."""

Validator = Callable[[str], object]


def load_sdk_validator() -> tuple[Validator | None, str]:
    """Return the official SDK's strict validator and its version, or None and why not. Slow; call it in a thread."""
    try:
        import openai
        from openai.types.realtime import RealtimeServerEvent
        from pydantic import Field, TypeAdapter
    except ImportError as problem:
        return None, f"openai cannot be imported: {problem}"
    from typing import Annotated

    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
    return adapter.validate_json, f"openai {openai.__version__}"


def own_problem(frame: str, event: dict[str, Any]) -> str:
    """Return what is wrong with a frame by our own strict reading, "" when nothing is."""
    name = str(event.get("type"))
    if translate_server_event(event) is not event or name.startswith(BETA_NAMES):
        return f"{name!r} or its content has a name of the beta API"
    if name not in SERVER_EVENT_TYPES:
        return f"{name!r} is no event of the GA API"
    typed = decode_server_event(frame)
    if isinstance(typed, UnknownEvent):
        return typed.problem
    missing = [path for path in ("event_id", *REQUIRED.get(name, ())) if not _present(event, path)]
    return f"missing: {', '.join(missing)}" if missing else ""


def sdk_problem(validate: Validator, frame: str) -> str:
    """Return what the official SDK's types refuse in a frame, "" when nothing."""
    try:
        validate(frame)
    except ValueError as problem:
        lines = [line.strip() for line in str(problem).splitlines() if "further information" not in line]
        return " ".join(lines)[:400]
    return ""


def _present(event: dict[str, Any], path: str) -> bool:
    value: Any = event
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
