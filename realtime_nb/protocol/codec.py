"""Text frames ↔ typed events. Omitted and `null` stay different (`UNSET`); what is unknown stays raw."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import msgspec

from realtime_nb.errors import RemoteProtocolError

from .client_events import (
    CLIENT_EVENT_TYPES,
    MAX_EVENT_ID_CHARACTERS,
    ClientEvent,
    ClientEventBase,
    ConversationItemCreate,
    InputAudioBufferAppend,
    ResponseCreate,
)
from .dialect import translate_server_event
from .server_events import SERVER_EVENT_TYPES, ServerEventBase, UnknownEvent
from .session_config import validation_problem

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Of audio in one `input_audio_buffer.append`, as documented."""

_encoder = msgspec.json.Encoder()
_server_union: Any = reduce(operator.or_, SERVER_EVENT_TYPES.values())
_server_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_server_union)
_client_decoders = {name: msgspec.json.Decoder(event) for name, event in CLIENT_EVENT_TYPES.items()}


class _Envelope(msgspec.Struct):
    type: Any = None
    event_id: Any = None


_envelope_decoder = msgspec.json.Decoder(_Envelope)


def encode(event: ClientEventBase | ServerEventBase) -> str:
    """Return the event's text frame."""
    return _encoder.encode(event).decode()


def decode_server_event(frame: str | bytes) -> ServerEventBase | UnknownEvent:
    """Read a server's frame. Never raises: what cannot be typed comes back as `UnknownEvent`."""
    try:
        event: ServerEventBase = _server_decoder.decode(frame)
        return event
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        return _decode_leniently(frame, str(problem))


def _decode_leniently(frame: str | bytes, problem: str) -> ServerEventBase | UnknownEvent:
    try:
        raw = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        return UnknownEvent(type="", raw=text[:2000], problem=f"not JSON: {problem}")
    if not isinstance(raw, dict):
        return UnknownEvent(type="", raw=raw, problem="not a JSON object")
    translated = translate_server_event(raw)
    if translated is not raw:
        try:
            event: ServerEventBase = msgspec.convert(translated, _server_union)
            return event
        except msgspec.ValidationError as again:
            problem = str(again)
    return UnknownEvent(type=str(raw.get("type", "")), raw=raw, problem=problem)


def decode_client_event(frame: str | bytes) -> ClientEvent:
    """Read a client's frame as strictly as the service does.

    Raises:
        RemoteProtocolError: with the wire's code (`invalid_json`, `invalid_event`, `invalid_value`,
            `unknown_parameter`, `missing_required_parameter`), param and the event's id.
    """
    if isinstance(frame, bytes):
        raise RemoteProtocolError(
            "Binary frames are not accepted; send one JSON object per text frame.", code="invalid_event"
        )
    try:
        envelope = _envelope_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise RemoteProtocolError(f"The message is not a JSON object: {problem}.", code="invalid_json") from problem
    event_id = envelope.event_id if isinstance(envelope.event_id, str) else None
    if event_id is not None and len(event_id) > MAX_EVENT_ID_CHARACTERS:
        event_id = None  # refused below; not repeated
    if envelope.type is None:
        raise RemoteProtocolError(
            "Missing required parameter: 'type'.", code="invalid_event", param="type", event_id=event_id
        )
    decoder = _client_decoders.get(envelope.type) if isinstance(envelope.type, str) else None
    if decoder is None:
        accepted = ", ".join(f"'{name}'" for name in CLIENT_EVENT_TYPES)
        raise RemoteProtocolError(
            f"Invalid value: '{envelope.type}'. Supported values are: {accepted}.",
            code="invalid_value",
            param="type",
            event_id=event_id,
        )
    return _decode_strictly(decoder, frame, event_id)


def _decode_strictly(decoder: msgspec.json.Decoder[Any], frame: str, event_id: str | None) -> ClientEvent:
    try:
        event: ClientEvent = decoder.decode(frame)
    except msgspec.ValidationError as problem:
        refused = validation_problem(problem)
        refused.event_id = event_id
        raise refused from problem
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise RemoteProtocolError(
            f"The message is not valid: {problem}.", code="invalid_json", event_id=event_id
        ) from problem
    if isinstance(event, InputAudioBufferAppend) and len(event.audio) > MAX_APPEND_BYTES:
        raise RemoteProtocolError(
            f"Audio chunk too large: {len(event.audio)} bytes, at most {MAX_APPEND_BYTES}.",
            code="string_above_max_length",
            param="audio",
            event_id=event_id,
        )
    if isinstance(event, ConversationItemCreate | ResponseCreate):
        unknown = _unknown_field(msgspec.json.decode(frame), event)
        if unknown is not None:
            raise RemoteProtocolError(
                f"Unknown parameter: '{unknown}'.", code="unknown_parameter", param=unknown, event_id=event_id
            )
    return event


def _unknown_field(given: Any, read: object, where: str = "") -> str | None:
    """Return the first field of an event that no struct read. Items are read leniently: servers may send more."""
    found: str | None = None
    if isinstance(read, msgspec.Struct) and isinstance(given, dict):
        for key, value in given.items():
            here = f"{where}.{key}" if where else key
            if key not in read.__struct_fields__ and key != read.__struct_config__.tag_field:
                return here
            found = found or _unknown_field(value, getattr(read, key, None), here)
    elif isinstance(read, list) and isinstance(given, list):
        for index, pair in enumerate(zip(given, read, strict=True)):
            found = found or _unknown_field(*pair, f"{where}[{index}]")
    return found
