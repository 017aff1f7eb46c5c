"""Client frames for fuzzing: what a client may send, what it might send by mistake, and what nobody should."""

from __future__ import annotations

import base64
import functools
import random
from collections.abc import Callable
from typing import Any

import msgspec

Event = dict[str, Any]

KEYS = (
    *("type", "id", "role", "content", "text", "audio", "transcript", "input", "output", "format", "voice", "speed"),
    *("turn_detection", "transcription", "instructions", "tools", "tool_choice", "output_modalities", "metadata"),
    *("max_output_tokens", "conversation", "name", "arguments", "call_id", "rate", "tracing", "prompt", "status"),
    *("event_id", "item", "item_id", "session", "response", "previous_item_id", "audio_end_ms", "content_index"),
)
VALUES = (
    *(
        "",
        "root",
        "item_a",
        "none",
        "auto",
        "completed",
        "message",
        "realtime",
        "transcription",
        "AAAA",
        "A",
        "\0",
        "é😀",
    ),
    *("audio", "text", "user", "assistant", "input_text", "input_audio", "output_audio", "server_vad", "semantic_vad"),
    *("audio/pcm", "audio/pcmu", "item_reference", "function_call", "function", "mcp", "x" * 600, "\u202e\ufffe"),
    *(0, 1, -1, 2**31, 2**63, 2**64, 10**30, -(10**30), 0.5, -0.0, 1e308, None, True, False),
)
PATCHES: tuple[Event, ...] = (
    {"instructions": "Be brief."},
    {"instructions": None},
    {"output_modalities": ["text"]},
    {"output_modalities": ["audio"]},
    {"output_modalities": ["audio", "text"]},
    {"max_output_tokens": 5},
    {"max_output_tokens": "inf"},
    {"max_output_tokens": 0},
    {"tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object"}}], "tool_choice": "required"},
    {"tools": [{"type": "function"}]},
    {"tools": []},
    {"truncation": {"type": "retention_ratio", "retention_ratio": 0.5}},
    {"tracing": "auto"},
    {"tracing": None},
    {"model": "another"},
    {"type": "transcription"},
    {"nonsense": 1},
    {"audio": {"input": {"turn_detection": None}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": True, "threshold": 0}}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.01}}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4999}}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
    {"audio": {"input": {"transcription": {"model": "whisper-1"}, "noise_reduction": {"type": "near_field"}}}},
    {"audio": {"output": {"format": {"type": "audio/pcma"}, "speed": 1.5}}},
    {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 0.25}}},
    {"audio": {"output": {"voice": "marin"}}},
    {"audio": {"output": {"voice": "nobody"}}},
    {"audio": {"output": {"voice": {"id": "voice_1"}}}},
    {"audio": None},
)
OPTIONS: tuple[Any, ...] = (
    *(
        {},
        {},
        {},
        {},
        None,
        {"conversation": "none", "metadata": {"topic": "x"}},
        {"conversation": "none", "input": []},
    ),
    *({"output_modalities": ["text"]}, {"instructions": "Whisper."}, {"tools": []}, {"tools": [{"type": "x"}]}),
    {"conversation": "none", "input": [{"type": "item_reference", "id": "item_nowhere"}]},
    {"metadata": {str(n): "v" for n in range(17)}},
    {"metadata": {"k" * 65: "v"}},
    *({"max_output_tokens": 1}, {"max_output_tokens": 4097}, {"conversation": "elsewhere"}, {"temperature": 1}),
    *({"audio": {"output": {"voice": "coral", "format": {"type": "audio/pcmu"}}}}, {"input": [{"type": "message"}]}),
    {"output_modalities": ["audio", "text"]},
)
CHUNK_BYTES = (0, 1, 2, 47, 479, 960, 960, 960, 4800, 4800, 4752, 48_000, 96_001)


@functools.lru_cache(maxsize=64)
def sound(n_bytes: int) -> str:
    """Return base64 of so many bytes."""
    return base64.b64encode(bytes(n_bytes)).decode()


def anything(chance: random.Random, depth: int = 0) -> Any:
    """Return some JSON value."""
    draw = chance.random()
    if draw < 0.6 or depth > 3:
        return chance.choice(VALUES)
    if draw < 0.7:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice(KEYS): anything(chance, depth + 1) for _ in range(chance.randrange(4))}


def mutated(value: Any, chance: random.Random) -> Any:
    """Return the value with a few things changed, lost or added, at any depth."""
    if isinstance(value, list):
        return [mutated(one, chance) for one in value]
    if not isinstance(value, dict):
        return anything(chance) if chance.random() < 0.05 else value
    changed: Event = {}
    for key, old in value.items():
        draw = chance.random()
        if draw < 0.06:
            changed[key] = anything(chance)
        elif draw > 0.1:
            changed[key] = mutated(old, chance)
    if chance.random() < 0.15:
        changed[chance.choice(KEYS)] = anything(chance)
    return changed


def encoded(event: Any) -> str:
    """Return the frame; numbers too large for JSON of 64 bits as they are."""
    try:
        return msgspec.json.encode(event).decode()
    except OverflowError:
        import json

        return json.dumps(event)


def nonsense(chance: random.Random) -> str | bytes:
    """Return a frame that is no event at all."""
    pick: tuple[Callable[[], str | bytes], ...] = (
        lambda: bytes(chance.randrange(256) for _ in range(chance.randrange(20))),
        lambda: b'{"type":"response.create"}',
        lambda: chance.choice(
            ("", " ", "null", "[]", "3", '"response.create"', "NaN", "{}", "[{}]", "\ufeff{}", "{", "}")
        ),
        lambda: '{"type":"input_audio_buffer.append","audio":"' + "A" * chance.randrange(9),
        lambda: '{"type":"response.create","event_id":"\\ud800"}',
        lambda: '{"type":"response.create","event_id":"\ud800"}',
        lambda: '{"type":"response.create","type":"input_audio_buffer.clear"}',
        lambda: '{"event_id":"only_an_id"}',
        lambda: '{"type":"' + "é😀" * chance.choice((1, 5000)) + '"}',
        lambda: '{"type":"response.create","event_id":"' + "e" * chance.choice((513, 20_000)) + '"}',
        lambda: '{"type":"response.create","response":' + "[" * 5000 + "]" * 5000 + "}",
        lambda: _nested_in_session(chance.choice((50, 400, 900, 5000))),
        lambda: '{"type":"input_audio_buffer.append","audio":"not base64!"}',
        lambda: '{"type":"conversation.item.retrieve","item_id":"' + "i" * chance.choice((33, 30_000)) + '"}',
        lambda: '{"type":"conversation.item.truncate","item_id":"a","content_index":0,"audio_end_ms":1e400}',
        lambda: encoded({"type": "session.update", "session": {"type": "realtime", "x" * 9000: 1}}),
        lambda: encoded({"type": chance.choice(("transcription_session.update", "session.close", "ping"))}),
        lambda: '{"type":"output_audio_buffer.clear","event_id":"web_rtc_only"}',
    )
    return chance.choice(pick)()


def _nested_in_session(depth: int) -> str:
    nest = '{"a":' * depth + "1" + "}" * depth
    tool = '{"type":"function","name":"deep","parameters":' + nest + "}"
    return '{"type":"session.update","session":{"type":"realtime","tools":[' + tool + "]}}"


def new_item(chance: random.Random, known: list[str]) -> Event:
    """Return an item as clients create them, and as they should not."""
    items: tuple[Event, ...] = (
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where is my order?"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound(4800)}]},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:image/png;base64,"}],
        },
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind. 😀"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Good day."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "no"}]},
        {"type": "message", "role": "user", "content": [], "status": "in_progress"},
        {"type": "function_call", "name": "look_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_a", "output": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True},
        {"type": "item_reference", "id": "item_a"},
    )
    item = dict(chance.choice(items))
    draw = chance.random()
    if draw < 0.15:
        item["id"] = f"item_mine_{chance.randrange(10**6)}"
    elif draw < 0.2 and known:
        item["id"] = chance.choice(known)
    return item


__all__ = ["CHUNK_BYTES", "OPTIONS", "PATCHES", "anything", "encoded", "mutated", "new_item", "nonsense", "sound"]
