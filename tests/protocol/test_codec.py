from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.errors import RemoteProtocolError
from realtime_nb.protocol import client_events as ce
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.codec import decode_client_event, decode_server_event, encode
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.testing.odd_frames import KEYS, VALUES

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def test_audio_is_bytes_here_and_base64_on_the_wire() -> None:
    frame = json.loads(encode(ce.InputAudioBufferAppend(audio=b"\1\2\3")))
    assert frame == {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"\1\2\3").decode()}


def test_absent_and_null_are_different() -> None:
    assert "previous_item_id" not in json.loads(encode(se.InputAudioBufferCommitted(item_id="a")))
    frame = json.loads(encode(se.InputAudioBufferCommitted(item_id="a", previous_item_id=None)))
    assert frame["previous_item_id"] is None


REFUSED: list[tuple[Any, str, str | None]] = [
    (b"\0\1", "invalid_event", None),
    ("nonsense", "invalid_json", None),
    ("[]", "invalid_json", None),
    ("{}", "invalid_event", "type"),
    ('{"type": "nope"}', "invalid_value", "type"),
    ('{"type": 7}', "invalid_value", "type"),
    ('{"type": "session.update"}', "missing_required_parameter", "session"),
    ('{"type": "response.cancel", "extra": 1}', "unknown_parameter", "extra"),
    ('{"type": "input_audio_buffer.append", "audio": "*"}', "invalid_value", "audio"),
    (
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [], "to": "you"}}',
        "unknown_parameter",
        "item.to",
    ),
    (
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": ['
        '{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b", "bold": true}]}}',
        "unknown_parameter",
        "item.content[1].bold",
    ),
    (
        '{"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "a", "item": "b"}]}}',
        "unknown_parameter",
        "response.input[0].item",
    ),
    (
        '{"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": -1}',
        "invalid_value",
        "audio_end_ms",
    ),
]


@pytest.mark.parametrize(("frame", "code", "param"), REFUSED)
def test_bad_frames_are_refused_with_code_and_param(frame: Any, code: str, param: str | None) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        decode_client_event(frame)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_a_refusal_names_the_event() -> None:
    server = ServerProtocol(SessionConfig())
    server.receive('{"type": "session.update", "event_id": "mine"}')
    (event,) = server.events_to_send()
    assert isinstance(event, se.ErrorEvent)
    assert event.error.event_id == "mine"


def test_unknown_server_events_and_odd_shapes_stay_raw() -> None:
    unknown = decode_server_event('{"type": "response.sang", "tune": [1]}')
    assert isinstance(unknown, se.UnknownEvent)
    assert unknown.raw == {"type": "response.sang", "tune": [1]}
    odd = decode_server_event('{"type": "response.output_audio.delta", "item_id": 7}')
    assert isinstance(odd, se.UnknownEvent)
    assert odd.problem


def test_unknown_fields_of_server_events_are_no_problem() -> None:
    event = decode_server_event(
        '{"type": "response.output_text.delta", "item_id": "a", "delta": "x", "obfuscation": "zz"}'
    )
    assert isinstance(event, se.OutputTextDelta)


def test_beta_names_are_translated() -> None:
    event = decode_server_event('{"type": "response.audio.delta", "item_id": "a", "delta": "AAA="}')
    assert isinstance(event, se.OutputAudioDelta)


MACHINES = settings(deadline=None, max_examples=100)


@MACHINES
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_bytes_crash_either_machine(frame: str | bytes) -> None:
    ServerProtocol(SessionConfig()).receive(frame)
    ClientProtocol().receive(frame)


@MACHINES
@given(
    st.sampled_from([*ce.CLIENT_EVENT_TYPES, *se.SERVER_EVENT_TYPES]), st.dictionaries(st.text(max_size=10), ANY_JSON)
)
def test_no_json_crashes_either_machine(event_type: str, fields: dict[str, Any]) -> None:
    frame = json.dumps({**fields, "type": event_type})
    ServerProtocol(SessionConfig()).receive(frame)
    ClientProtocol().receive(frame)


ALL_FIELDS = sorted(
    {
        name
        for event in [*ce.CLIENT_EVENT_TYPES.values(), *se.SERVER_EVENT_TYPES.values()]
        for name in event.__struct_fields__
    }
)
LIKELY = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from([*se.SERVER_EVENT_TYPES]), st.dictionaries(st.sampled_from(ALL_FIELDS), LIKELY)),
        max_size=6,
    )
)
def test_no_history_of_mutated_server_events_crashes_the_client(history: list[tuple[str, dict[str, Any]]]) -> None:
    client = ClientProtocol()
    for event_type, fields in history:
        client.receive(json.dumps({**fields, "type": event_type}))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from([*ce.CLIENT_EVENT_TYPES]), st.dictionaries(st.sampled_from(ALL_FIELDS), LIKELY)),
        max_size=6,
    )
)
def test_no_history_of_mutated_client_events_crashes_the_server(history: list[tuple[str, dict[str, Any]]]) -> None:
    server = ServerProtocol(SessionConfig())
    for event_type, fields in history:
        server.receive(json.dumps({**fields, "type": event_type}))
    server.data_to_send()
