from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime_nb.recording.redaction import redacted
from realtime_nb.recording.secrets import Scrubber, bare_url


def test_secrets_are_removed_wherever_they_stand() -> None:
    value = {
        "tools": [{"authorization": "Bearer xyz", "headers": {"k": "v", "n": 1}}],
        "client_secret": {"value": "short"},
        "X-API-Key": "letmein",
        "a": 1,
    }
    cleaned = Scrubber().value(value)
    assert cleaned == {
        "tools": [{"authorization": "(removed)", "headers": "(removed)"}],
        "client_secret": "(removed)",
        "X-API-Key": "(removed)",
        "a": 1,
    }
    assert Scrubber().value({"a": [1, {"b": None}], "token": ""}) == {"a": [1, {"b": None}], "token": ""}


def test_what_was_secret_once_is_secret_everywhere() -> None:
    scrubber = Scrubber(["known by value"])
    scrubber.value({"tools": [{"authorization": "Bearer correct-horse", "headers": {"X-Key": 'with "quotes" in'}}]})
    error = {"error": {"message": "cannot log in with correct-horse", "more": ["known by value", 'with "quotes" in']}}
    assert scrubber.value(error) == {"error": {"message": "cannot log in with (removed)", "more": ["(removed)"] * 2}}


@pytest.mark.parametrize(
    "text",
    [
        "the key sk-proj-abcdefghijklmnopqrst",
        "ek_0123456789abcdef",
        "Authorization: Bearer abcdefgh.ijkl",
        "https://ann:hunter22@host/v1",
        "wss://host/v1?model=m&api-key=hunter22",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3.c2lnbmF0dXJl",
    ],
)
def test_secrets_are_known_by_their_look(text: str) -> None:
    cleaned = Scrubber().text(text)
    for part in ("abcdefgh", "0123456789", "hunter22", "c2lnbmF0"):
        assert part not in cleaned
    assert Scrubber().value({"message": text}) == {"message": cleaned}


def test_tool_arguments_are_looked_into() -> None:
    arguments = msgspec.json.encode({"city": "Oslo", "api_key": "abc"}).decode()
    cleaned = Scrubber().value({"arguments": arguments, "output": '{"n": 1}'})
    assert msgspec.json.decode(cleaned["arguments"]) == {"city": "Oslo", "api_key": "(removed)"}
    assert cleaned["output"] == '{"n": 1}'


def test_the_schema_of_a_tool_stays_whole() -> None:
    properties = {"api_key": {"type": "string", "description": "the key of the shop"}, "n": {"type": "integer"}}
    tool = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": properties}}
    scrubber = Scrubber()
    assert scrubber.value({"tools": [tool]}) == {"tools": [tool]}
    assert scrubber.value({"headers": {"Accept": "application/json", "X": "hunter22"}}) == {"headers": "(removed)"}
    assert scrubber.text("application/json the key of the shop hunter22") == (
        "application/json the key of the shop (removed)"
    )
    assert scrubber.value({"secret": {"type": "x", "value": "hunter23"}}) == {"secret": "(removed)"}


def test_the_tokens_of_a_transcript_are_words_and_stay() -> None:
    event = {"logprobs": [{"token": "hello there", "logprob": -0.1}], "usage": {"input_tokens": 3}}
    scrubber = Scrubber()
    assert scrubber.value(event) == event
    assert scrubber.text("hello there") == "hello there"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner)
    )
)
def test_what_holds_no_secret_is_left_as_it_is(value: Any) -> None:
    assert Scrubber().value(value) == value


@example(key="aa/00000", around="")
@example(key="text/plainkey", around="")
@given(st.text('abcdefgh0123456789/+"\\é', min_size=8, max_size=40), st.text(max_size=20))
def test_a_known_key_never_comes_through(key: str, around: str) -> None:
    scrubber = Scrubber([key])
    event = {"message": around + key + around, "arguments": msgspec.json.encode({"k": key}).decode(), key: 1}
    assert key.strip() not in str(msgspec.json.decode(msgspec.json.encode(scrubber.value(event))))


def test_addresses_lose_user_and_query() -> None:
    assert bare_url("wss://u:p@host:1/v1/realtime?model=m#x") == "wss://host:1/v1/realtime"
    said = " (the url you gave) (network: 4G (simulated))"
    assert bare_url(f"https://u:p@host/v1?key=k{said}") == f"https://host/v1{said}"
    assert bare_url("the embedded server (offline)") == "the embedded server (offline)"


def test_redaction_takes_sound_or_words() -> None:
    delta = {"type": "response.output_audio.delta", "delta": "AAAA", "item_id": "i"}
    words = {"type": "response.output_text.delta", "delta": "hi", "logprobs": [{"token": "hi", "bytes": [104]}]}
    item = {"item": {"content": [{"type": "input_audio", "audio": "AAAA", "transcript": "hi"}]}}
    assert redacted(delta, ["audio"])["delta"] == "(redacted)"
    assert redacted(delta, ["transcripts"]) == delta
    assert redacted(words, ["audio"]) == words
    assert redacted(words, ["transcripts"]) == {"type": words["type"], "delta": "(redacted)", "logprobs": "(redacted)"}
    both = redacted(item, ["audio", "transcripts"])
    assert "AAAA" not in str(both)
    assert "hi" not in str(both)


@pytest.mark.parametrize(
    "name",
    [
        "apiKey",
        "X-Api-Key",
        "accessToken",
        "Proxy-Authorization",
        "AWS_SECRET_ACCESS_KEY",
        "sessionToken",
        "db-password",
    ],
)
def test_a_secret_is_known_by_its_name_in_any_writing(name: str) -> None:
    arguments = msgspec.json.encode({"deep": [{name: "hunter2hunter2"}]}).decode()
    cleaned = Scrubber().value({"item": {"arguments": arguments, "output": "it was hunter2hunter2"}})
    assert "hunter2" not in str(cleaned)


@pytest.mark.parametrize("name", ["max_tokens", "input_tokens", "monkey", "key", "secretary", "tokens_per_minute"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert Scrubber().value({name: "hunter2hunter2"}) == {name: "hunter2hunter2"}


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1?client_secret=hunter2hunter2&n=1",
        "https://ann:hunter2hunter2@host/path",
        "https://host/path?X-Amz-Signature=hunter2hunter2&X-Amz-Credential=hunter2",
        "https://host/?subscription-key=hunter2hunter2#top",
        "Authorization: Basic hunter2hunter2==",
        "x-api-key: hunter2hunter2",
        'curl -H "api-key:hunter2hunter2"',
        "AIzahunter2hunter2hunter2hunter2hunter2hunter2",
    ],
)
def test_a_secret_is_known_by_its_look_in_a_text(text: str) -> None:
    assert "hunter2" not in Scrubber().text(text)
