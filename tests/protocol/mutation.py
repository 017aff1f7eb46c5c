"""Legal frames with a few things wrong: keys lost, values of another kind, keys that belong elsewhere."""

from __future__ import annotations

import random
from typing import Any

KEYS = [
    *("type", "id", "role", "content", "text", "audio", "transcript", "input", "output", "format", "voice", "speed"),
    *("turn_detection", "transcription", "instructions", "tools", "tool_choice", "output_modalities", "metadata"),
    *("max_output_tokens", "conversation", "name", "arguments", "call_id", "rate", "tracing", "prompt", "status"),
]
VALUES = [
    *(
        "item_a",
        "resp_a",
        "root",
        "",
        0,
        1,
        10**30,
        -1,
        0.5,
        None,
        True,
        "AAAA",
        "A",
        "completed",
        "message",
        "realtime",
    ),
    *("audio", "text", "user", "assistant", "input_text", "input_audio", "output_audio", "server_vad", "semantic_vad"),
    *("audio/pcm", "audio/pcmu", "none", "auto", "item_reference", "function_call", "function"),
]


def anything(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON value that might stand there."""
    choice = rng.random()
    if choice < 0.5 or depth > 3:
        return rng.choice(VALUES)
    if choice < 0.6:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {rng.choice(KEYS): anything(rng, depth + 1) for _ in range(rng.randrange(5))}


def mutated(value: Any, rng: random.Random) -> Any:
    """The value with a few changes, at any depth."""
    if isinstance(value, list):
        return [mutated(one, rng) for one in value]
    if not isinstance(value, dict):
        return anything(rng) if rng.random() < 0.03 else value
    changed = {}
    for key, old in value.items():
        choice = rng.random()
        if choice < 0.08:
            changed[key] = anything(rng)
        elif choice > 0.12:
            changed[key] = mutated(old, rng)
    if rng.random() < 0.05:
        changed[rng.choice(KEYS)] = anything(rng)
    return changed
