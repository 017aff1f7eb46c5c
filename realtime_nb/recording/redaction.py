"""Leaving sound or words out of events, on purpose."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Any, Literal

REDACTED = "(redacted)"
Redaction = Literal["audio", "transcripts"]
TRANSCRIPT_KEYS = frozenset(
    {"transcript", "delta", "text", "arguments", "output", "instructions", "prompt", "logprobs", "error", "message"}
)
"""Where words stand, in events and marks."""
AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})


def redacted(event: dict[str, Any], what: Collection[Redaction]) -> dict[str, Any]:
    """Return an event or a mark's details without sound, without words, or without both."""
    carries_audio = event.get("type") in AUDIO_DELTAS
    if "audio" in what:
        event = _replaced(event, {"audio", "delta"} if carries_audio else {"audio"})
    if "transcripts" in what:
        event = _replaced(event, TRANSCRIPT_KEYS - {"delta"} if carries_audio else TRANSCRIPT_KEYS)
    return event


def _replaced(value: Any, keys: AbstractSet[str]) -> Any:
    if isinstance(value, dict):
        return {key: _replacement(key, item, keys) for key, item in value.items()}
    return [_replaced(item, keys) for item in value] if isinstance(value, list) else value


def _replacement(key: str, item: Any, keys: AbstractSet[str]) -> Any:
    if key in keys and isinstance(item, str) and item:
        return REDACTED
    if key == "logprobs" and key in keys and item:
        return REDACTED
    return _replaced(item, keys)
