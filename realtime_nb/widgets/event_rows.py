"""Wire events as rows of the inspector: a summary a person can scan, and JSON with audio elided to its length."""

from __future__ import annotations

import base64
import json
from typing import Any

from realtime_nb.widgets.messages import EventRow
from realtime_nb.widgets.session_port import LoggedEventPort

__all__ = ["elide_audio", "event_audio", "event_row", "event_summary"]

MAX_PAYLOAD_CHARACTERS = 16_000
MAX_SUMMARY_CHARACTERS = 120
AUDIO_FIELDS = ("audio", "delta", "data")
AUDIO_EVENTS = ("input_audio_buffer.append", "response.output_audio.delta", "response.audio.delta")
PCM16_24K_BYTES_PER_MS = 48


def event_row(logged: LoggedEventPort) -> EventRow:
    """Return the inspector's row for a logged event."""
    event = logged.event
    audio_bytes = logged.audio_left_out_bytes or _audio_bytes(logged.event_type, event)
    payload = json.dumps(elide_audio(logged.event_type, event), ensure_ascii=False, default=repr)
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        payload = json.dumps({"type": logged.event_type, "…": f"{len(payload)} characters; expand to load them"})
    return EventRow(
        sequence=logged.sequence,
        time_ms=round(logged.time_ms, 3),
        direction=logged.direction,
        event_type=logged.event_type,
        summary=event_summary(logged.event_type, event, audio_bytes),
        payload=payload,
        audio_ms=round(audio_bytes / PCM16_24K_BYTES_PER_MS, 1) if audio_bytes else None,
        audio_bytes=audio_bytes,
        response_id=str(event.get("response_id") or _part(event, "response").get("id") or ""),
        item_id=str(event.get("item_id") or _part(event, "item").get("id") or ""),
    )


def event_summary(event_type: str, event: dict[str, Any], audio_bytes: int = 0) -> str:
    """Return one line that says what the event carries; `audio_bytes` of audio when it is one of audio."""
    if audio_bytes and event_type in AUDIO_EVENTS:
        return f"{audio_bytes / PCM16_24K_BYTES_PER_MS:.0f} ms of audio"
    for describe in (_error_summary, _text_summary, _response_summary, _item_summary, _field_summary):
        text = describe(event)
        if text:
            return text if len(text) <= MAX_SUMMARY_CHARACTERS else text[: MAX_SUMMARY_CHARACTERS - 1] + "…"
    return ""


def elide_audio(event_type: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with each base64 audio payload replaced by its length."""
    return {key: _elided(key, value, event_type in AUDIO_EVENTS) for key, value in event.items()}


def event_audio(event_type: str, event: dict[str, Any]) -> bytes:
    """Return the audio bytes an event carries as they are on the wire, b"" when it carries none."""
    if event_type not in AUDIO_EVENTS:
        return b""
    field = next((event[name] for name in AUDIO_FIELDS if isinstance(event.get(name), str)), "")
    try:
        return base64.b64decode(field, validate=True)
    except ValueError:
        return b""


def _audio_bytes(event_type: str, event: dict[str, Any]) -> int:
    if event_type not in AUDIO_EVENTS:
        return 0
    field = next((event[name] for name in AUDIO_FIELDS if isinstance(event.get(name), str)), "")
    return len(field) * 3 // 4 - field[-2:].count("=")


def _elided(key: str, value: Any, audio_event: bool) -> Any:
    if isinstance(value, dict):
        return {inner: _elided(inner, part, audio_event) for inner, part in value.items()}
    if isinstance(value, list):
        return [_elided(key, part, audio_event) for part in value]
    if isinstance(value, str) and value[:1] != "(" and (key == "audio" or (audio_event and key in AUDIO_FIELDS)):
        return f"‹{len(value) * 3 // 4 - value[-2:].count('=')} bytes of audio›"
    return value


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _error_summary(event: dict[str, Any]) -> str:
    error = _part(event, "error")
    return f"{error.get('code') or error.get('type') or 'error'}: {error.get('message', '')}" if error else ""


def _text_summary(event: dict[str, Any]) -> str:
    for name in ("transcript", "text", "delta", "arguments"):
        value = event.get(name)
        if isinstance(value, str) and value:
            return f"“{value}”"
    return ""


def _response_summary(event: dict[str, Any]) -> str:
    response = _part(event, "response")
    status = response.get("status")
    if not status:
        return ""
    usage = response.get("usage")
    tokens = f", {usage['total_tokens']} tokens" if isinstance(usage, dict) and "total_tokens" in usage else ""
    reason = _part(response, "status_details").get("reason")
    return f"{status}{f' ({reason})' if reason else ''}{tokens}"


def _item_summary(event: dict[str, Any]) -> str:
    item = _part(event, "item")
    if not item:
        return ""
    texts = [
        str(part.get("text") or part.get("transcript") or part.get("type", ""))
        for part in item.get("content") or []
        if isinstance(part, dict)
    ]
    who = item.get("role") or item.get("name") or ""
    return " ".join(word for word in (str(item.get("type", "")), str(who), " ".join(texts)) if word)


def _field_summary(event: dict[str, Any]) -> str:
    skipped = {"type", "event_id", "item_id", "response_id", "previous_item_id"}
    fields = [
        f"{key} {value}" for key, value in event.items() if key not in skipped and isinstance(value, (int, float))
    ]
    return ", ".join(fields)
