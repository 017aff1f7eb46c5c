from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol.session_config import SemanticVad, ServerVad, SessionConfig, merge


def changed(**patch: Any) -> SessionConfig:
    return merge(SessionConfig(), {"type": "realtime", **patch})


def test_only_present_keys_change() -> None:
    first = changed(instructions="Be brief.", audio={"output": {"voice": "marin"}})
    second = merge(first, {"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    assert second.instructions == "Be brief."
    assert (second.audio.output.voice, second.audio.output.speed) == ("marin", 1.2)


def test_the_merged_config_leaves_the_old_one_alone() -> None:
    before = SessionConfig()
    untouched = msgspec.json.encode(before)
    merge(before, {"type": "realtime", "tools": [{"type": "function", "name": "f"}], "instructions": "x"})
    assert msgspec.json.encode(before) == untouched


def test_null_is_not_absent() -> None:
    first = changed(audio={"input": {"transcription": {"model": "any"}}})
    assert merge(first, {"type": "realtime", "audio": {"input": {}}}).audio.input.transcription is not None
    assert (
        merge(first, {"type": "realtime", "audio": {"input": {"transcription": None}}}).audio.input.transcription
        is None
    )
    assert changed(audio={"input": {"turn_detection": None}}).audio.input.turn_detection is None


def test_what_came_later_to_transcription_is_shown_only_where_it_was_set() -> None:
    first = changed(audio={"input": {"transcription": {"model": "any"}, "noise_reduction": {"type": "near_field"}}})
    shown = msgspec.to_builtins(first)["audio"]["input"]
    assert shown["transcription"] == {"model": "any", "language": None, "prompt": None}
    assert shown["noise_reduction"] == {"type": "near_field"}
    second = merge(first, {"type": "realtime", "audio": {"input": {"transcription": {"keywords": ["parrot"]}}}})
    assert msgspec.to_builtins(second)["audio"]["input"]["transcription"]["keywords"] == ["parrot"]


@pytest.mark.parametrize(
    ("key", "value"), [("instructions", ""), ("instructions", None), ("tools", []), ("tools", None)]
)
def test_empty_values_and_null_clear(key: str, value: Any) -> None:
    first = changed(instructions="x", tools=[{"type": "function", "name": "f"}])
    assert not getattr(merge(first, {"type": "realtime", key: value}), key)


def test_an_object_of_another_type_starts_from_that_types_defaults() -> None:
    first = changed(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    second = merge(first, {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert second.audio.input.turn_detection == SemanticVad()


def test_an_object_of_the_same_type_keeps_its_other_keys() -> None:
    first = changed(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.8}}})
    patch = {"type": "server_vad", "silence_duration_ms": 200}
    second = merge(first, {"type": "realtime", "audio": {"input": {"turn_detection": patch}}})
    assert second.audio.input.turn_detection == ServerVad(threshold=0.8, silence_duration_ms=200)


def test_a_format_without_a_rate_is_enough_for_telephones() -> None:
    both = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}
    audio = changed(audio=both).audio
    assert msgspec.to_builtins(audio.input.format) == {"type": "audio/pcmu"}
    assert msgspec.to_builtins(audio.output.format) == {"type": "audio/pcma"}


TOOL = {"type": "function", "name": "f"}
REFUSED = [
    ({}, "missing_required_parameter", "session.type"),
    ({"type": "transcription"}, "invalid_value", "session.type"),
    ({"type": "realtime", "voice": "alloy"}, "unknown_parameter", "session.voice"),
    ({"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "invalid_value", None),
    ({"type": "realtime", "audio": {"output": {"speed": 9}}}, "invalid_value", "session.audio.output.speed"),
    ({"type": "realtime", "tool_choice": "sometimes"}, "invalid_value", "session.tool_choice"),
    ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
    ({"type": "realtime", "tools": [{"type": "hammer"}]}, "invalid_value", "session.tools[0].type"),
    ({"type": "realtime", "tools": [{"name": "f"}]}, "missing_required_parameter", "session.tools[0].type"),
    ({"type": "realtime", "tools": [TOOL, {**TOOL, "strict": True}]}, "unknown_parameter", "session.tools[1].strict"),
    ({"type": "realtime", "tools": [{**TOOL, "name": ""}]}, "invalid_value", "session.tools[0].name"),
    ({"type": "realtime", "tools": [{**TOOL, "description": 3}]}, "invalid_value", "session.tools[0].description"),
    ({"type": "realtime", "tools": [{**TOOL, "parameters": "{}"}]}, "invalid_value", "session.tools[0].parameters"),
    ({"type": "realtime", "tools": [{"type": "mcp"}]}, "missing_required_parameter", "session.tools[0].server_label"),
    ({"type": "realtime", "tool_choice": {"type": "hammer"}}, "invalid_value", "session.tool_choice.type"),
    (
        {"type": "realtime", "tool_choice": {"type": "function"}},
        "missing_required_parameter",
        "session.tool_choice.name",
    ),
    ({"type": "realtime", "reasoning": {"effort": "heroic"}}, "invalid_value", "session.reasoning.effort"),
    ({"type": "realtime", "tracing": {"name": "a"}}, "unknown_parameter", "session.tracing.name"),
    ({"type": "realtime", "max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
    ({"type": "realtime", "output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
]


@pytest.mark.parametrize(("patch", "code", "param"), REFUSED)
def test_bad_settings_are_refused_with_code_and_param(patch: dict[str, Any], code: str, param: str | None) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        merge(SessionConfig(), patch)
    assert refused.value.code == code
    if param is not None:
        assert refused.value.param == param


@pytest.mark.parametrize(
    ("patch", "param"),
    [
        ({"instructions": "Be brief."}, "session.instructions"),
        ({"audio": {"output": {"voice": "marin"}}}, "session.audio.output"),
        ({"audio": {"nonsense": 1}}, "session.audio.nonsense"),
    ],
)
def test_a_transcription_session_has_no_settings_of_speaking(patch: dict[str, Any], param: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        merge(SessionConfig(type="transcription"), {"type": "transcription", **patch})
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", param)


def test_the_voice_is_locked_once_it_was_heard() -> None:
    patch = {"type": "realtime", "instructions": "x", "audio": {"output": {"voice": "marin"}}}
    with pytest.raises(RemoteProtocolError) as refused:
        merge(SessionConfig(), patch, voice_locked=True)
    assert refused.value.code == "cannot_update_voice"
    same = {"type": "realtime", "audio": {"output": {"voice": "alloy"}}}
    assert merge(SessionConfig(), same, voice_locked=True).audio.output.voice == "alloy"


def test_tracing_cannot_change_once_enabled() -> None:
    traced = changed(tracing="auto")
    with pytest.raises(RemoteProtocolError):
        merge(traced, {"type": "realtime", "tracing": None})
