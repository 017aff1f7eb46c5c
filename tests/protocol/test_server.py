"""The server's machine alone: what it answers, in which order, and what it asks its driver to do."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.errors import LocalProtocolError
from realtime_nb.protocol import server
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.response import RESPONSE_LIFE, ResponsePhase, next_phase
from realtime_nb.protocol.server import (
    AudioAppended,
    BufferCleared,
    Committed,
    ResponseRequested,
    ResponseStopped,
    ServerProtocol,
    SessionChanged,
)
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import SessionConfig
from tests.protocol.strict import check_server_frame


class Driver:
    """Sends frames into a machine and reads what comes out."""

    def __init__(self, **config: Any) -> None:
        fields = {"id": "sess_a", "model": "m", "expires_at": 1, **config}
        self.server = ServerProtocol(SessionConfig(**fields), ids=IdFactory(1))
        self.actions: list[Any] = []

    def send(self, event_type: str, **fields: Any) -> list[dict[str, Any]]:
        self.actions = self.server.receive(json.dumps({"type": event_type, **fields}))
        return self.out()

    def out(self) -> list[dict[str, Any]]:
        frames = self.server.data_to_send()
        for frame in frames:
            check_server_frame(frame)
        return [json.loads(frame) for frame in frames]

    def append(self, duration_ms: int) -> list[dict[str, Any]]:
        return self.send("input_audio_buffer.append", audio=base64.b64encode(bytes(48 * duration_ms)).decode())

    def say(self, text: str = "hello", **fields: Any) -> str:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        return str(self.send("conversation.item.create", item=item, **fields)[-1]["item"]["id"])

    def respond(self, **options: Any) -> ServerResponse:
        self.send("response.create", response=options)
        (action,) = self.actions
        assert isinstance(action, ResponseRequested)
        return action.response


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def speak(response: ServerResponse, *words: str, ms_per_word: int = 100) -> str:
    """Write a spoken message, each word of the same length with its mark."""
    item_id = response.begin_message()
    said = ""
    for count, word in enumerate(words, start=1):
        said += word
        response.transcript(word)
        response.audio(bytes(48 * ms_per_word))
        response.spoken(count * ms_per_word, len(said))
    return item_id


def test_the_session_is_announced_first_and_whole() -> None:
    driver = Driver()
    driver.server.open()
    (created,) = driver.out()
    assert created["type"] == "session.created"
    expected = {"type", "object", "id", "model", "output_modalities", "instructions", "tools", "tool_choice"}
    expected |= {"max_output_tokens", "tracing", "prompt", "truncation", "expires_at", "include", "audio"}
    assert set(created["session"]) == expected


def test_appended_audio_has_no_answer_and_one_action() -> None:
    driver = Driver()
    assert driver.append(20) == []
    assert driver.actions == [AudioAppended(bytes(960))]


def test_a_commit_makes_an_item_and_no_response() -> None:
    driver = Driver()
    first = driver.say()
    driver.append(150)
    events = driver.send("input_audio_buffer.commit")
    assert types(events) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert [event["previous_item_id"] for event in events] == [first] * 3
    assert events[1]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    (committed,) = driver.actions
    assert isinstance(committed, Committed)
    assert len(committed.audio) == 48 * 150


def test_clearing_is_confirmed_and_told_to_the_driver() -> None:
    driver = Driver()
    driver.append(150)
    assert types(driver.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert driver.actions == [BufferCleared()]
    assert driver.send("input_audio_buffer.commit")[0]["error"]["code"] == "input_audio_buffer_commit_empty"


def test_settings_are_answered_whole_and_told_to_the_driver() -> None:
    driver = Driver()
    (updated,) = driver.send("session.update", session={"type": "realtime", "instructions": "Be kind."})
    assert (updated["type"], updated["session"]["instructions"]) == ("session.updated", "Be kind.")
    (change,) = driver.actions
    assert isinstance(change, SessionChanged)
    assert (change.before.instructions, change.after.instructions) == ("", "Be kind.")


AT_ONE_MS = {"content_index": 0, "audio_end_ms": 1}


@pytest.mark.parametrize(("verb", "fields"), [("retrieve", {}), ("delete", {}), ("truncate", AT_ONE_MS)])
def test_items_that_do_not_exist_have_codes_of_their_own(verb: str, fields: dict[str, Any]) -> None:
    (error,) = Driver().send(f"conversation.item.{verb}", item_id="item_x", event_id="mine", **fields)
    assert error["error"]["code"] == f"item_{verb}_invalid_item_id"
    assert error["error"]["event_id"] == "mine"
    assert "item_x" in error["error"]["message"]


def test_an_item_goes_first_after_another_or_last_and_nowhere_else() -> None:
    driver = Driver()
    second = driver.say("second")
    driver.say("third")
    driver.say("first", previous_item_id="root")
    driver.say("between", previous_item_id=second)
    (error,) = driver.send(
        "conversation.item.create", item={"type": "function_call_output", "call_id": "c", "output": ""},
        previous_item_id="item_x",
    )  # fmt: skip
    assert (error["error"]["code"], error["error"]["param"]) == (
        "item_create_invalid_previous_item_id",
        "previous_item_id",
    )
    assert [words for *_, words in driver.server.conversation.digest()] == ["first", "second", "between", "third"]


def test_an_items_id_is_used_once() -> None:
    driver = Driver()
    item_id = driver.say("first")
    item = {"type": "message", "role": "user", "id": item_id, "content": [{"type": "input_text", "text": "again"}]}
    (error,) = driver.send("conversation.item.create", item=item)
    assert error["error"]["code"] == "item_create_duplicate_item_id"
    (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
    assert retrieved["item"]["object"] == "realtime.item"
    assert retrieved["item"]["content"][0]["text"] == "first"


@pytest.mark.parametrize(
    ("role", "kind"), [("assistant", "input_text"), ("system", "input_audio"), ("user", "output_text")]
)
def test_each_role_has_its_own_kinds_of_content(role: str, kind: str) -> None:
    part = {"type": kind, "text": "x"} if kind.endswith("text") else {"type": kind, "audio": "AAA="}
    (error,) = Driver().send("conversation.item.create", item={"type": "message", "role": role, "content": [part]})
    assert (error["type"], error["error"]["param"]) == ("error", "item.content[0].type")


def test_the_envelope_of_a_spoken_answer() -> None:
    driver = Driver()
    response = driver.respond()
    speak(response, "Yes.")
    response.complete()
    events = driver.out()
    assert types(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[0]["item"] | {"id": ""} == {
        "id": "",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    assert events[2]["part"] == {"type": "audio", "transcript": ""}
    done = events[-1]["response"]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Yes."}]
    assert set(done) == set(ResponseFields)


ResponseFields = (
    "id",
    "object",
    "status",
    "status_details",
    "output",
    "conversation_id",
    "output_modalities",
    "max_output_tokens",
    "audio",
    "usage",
    "metadata",
)


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (lambda r: r.cancel("turn_detected"), "cancelled", "turn_detected"),
        (lambda r: r.incomplete("max_output_tokens"), "incomplete", "max_output_tokens"),
        (lambda r: r.fail(code="server_error", message="It died."), "failed", None),
    ],
)
def test_a_response_that_ends_early_closes_what_it_opened(end: Any, status: str, reason: str | None) -> None:
    driver = Driver()
    response = driver.respond()
    speak(response, "Yes")
    driver.out()
    end(response)
    events = driver.out()
    assert types(events)[-1] == "response.done"
    assert "response.output_item.done" in types(events)
    done = events[-1]["response"]
    assert (done["status"], done["output"][0]["status"]) == (status, "incomplete")
    assert done["status_details"].get("reason") == reason
    response.transcript("late")
    response.audio(bytes(960))
    response.complete()
    response.begin_message()
    assert driver.out() == []


def test_every_end_of_a_response_is_final() -> None:
    for phase in ResponsePhase:
        assert phase.ended == (not RESPONSE_LIFE[phase])
    with pytest.raises(LocalProtocolError):
        next_phase(ResponsePhase.CANCELLED, "completed")


def test_speech_interrupts_only_where_the_settings_say_so() -> None:
    patient = {"turn_detection": {"type": "server_vad", "interrupt_response": False}}
    driver = Driver()
    driver.send("session.update", session={"type": "realtime", "audio": {"input": patient}})
    driver.respond()
    assert driver.server.speech_started(0) == []
    assert types(driver.out()) == ["input_audio_buffer.speech_started"]


def test_speech_interrupts_the_conversations_response_and_no_other() -> None:
    driver = Driver()
    aside = driver.respond(conversation="none")
    main = driver.respond()
    assert driver.server.speech_started(0) == [ResponseStopped(main)]
    assert types(driver.out()) == ["input_audio_buffer.speech_started", "response.done"]
    assert (main.ended, aside.ended) == (True, False)


def test_a_speech_segment_has_one_id_from_start_to_item() -> None:
    driver = Driver()
    driver.append(2000)
    driver.server.speech_started(200)
    committed = driver.server.speech_stopped(1500, start_ms=200)
    events = driver.out()
    ids = {event.get("item_id") or event["item"]["id"] for event in events}
    assert ids == {committed.item.id}
    assert len(committed.audio) == 48 * 1300
    assert driver.server.input_buffer.start_ms == 1500


WORDS = st.lists(st.sampled_from(["one", " two", " three,", " four."]), min_size=1, max_size=12)


@settings(deadline=None)
@given(WORDS, st.integers(0, 1300), st.integers(0, 1300))
def test_truncation_keeps_the_audio_and_the_whole_words_that_were_heard(
    words: list[str], first: int, then: int
) -> None:
    driver = Driver()
    response = driver.respond()
    item_id = speak(response, *words)
    response.complete()
    driver.out()
    left_ms = 100 * len(words)
    for cut_ms in (first, then):
        (answer,) = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=cut_ms)
        if cut_ms > left_ms:
            assert answer["error"]["code"] == "invalid_value"
        else:
            assert (answer["type"], answer["audio_end_ms"]) == ("conversation.item.truncated", cut_ms)
            left_ms = cut_ms
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        part = retrieved["item"]["content"][0]
        assert part["transcript"] == "".join(words[: left_ms // 100]).rstrip()
        assert len(base64.b64decode(part["audio"])) == 48 * left_ms
        assert driver.server.spoken.audio_ms(item_id) == left_ms


@given(WORDS, WORDS, st.integers(0, 1300))
def test_what_is_said_after_a_truncation_is_sent_but_never_kept(words: list[str], more: list[str], cut_ms: int) -> None:
    driver = Driver()
    response = driver.respond()
    item_id = speak(response, *words)
    driver.out()
    (answer,) = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=cut_ms)
    refused = cut_ms > 100 * len(words)
    assert answer["type"] == ("error" if refused else "conversation.item.truncated")
    for word in more:
        response.transcript(word)
        response.audio(bytes(4800))
    response.cancel("client_cancelled")
    out = driver.out()
    (transcript,) = [event["transcript"] for event in out if event["type"] == "response.output_audio_transcript.done"]
    assert transcript == "".join(words + more)
    assert types(out).count("response.output_audio.delta") == len(more)
    kept_ms = 100 * len(words + more) if refused else cut_ms
    (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
    part = retrieved["item"]["content"][0]
    assert part["transcript"] == "".join(words + more if refused else words[: cut_ms // 100]).rstrip()
    assert len(base64.b64decode(part["audio"])) == 48 * kept_ms
    assert driver.server.spoken.audio_ms(item_id) == kept_ms


def test_only_spoken_assistant_items_can_be_truncated() -> None:
    driver = Driver()
    item_id = driver.say()
    (error,) = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
    assert error["error"]["code"] == "unsupported_content_type"


def test_the_voice_is_locked_by_the_first_audio() -> None:
    driver = Driver()
    change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert types(driver.send("session.update", session=change)) == ["session.updated"]
    speak(driver.respond(), "Yes.")
    driver.out()
    change["audio"] = {"output": {"voice": "cedar"}}
    assert driver.send("session.update", session=change)[0]["error"]["code"] == "cannot_update_voice"


def test_a_response_with_a_voice_of_its_own_locks_it_too() -> None:
    driver = Driver()
    response = driver.respond(audio={"output": {"voice": "marin"}})
    speak(response, "Yes.")
    response.complete()
    driver.out()
    change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert driver.send("session.update", session=change)[0]["error"]["code"] == "cannot_update_voice"
    other = {"audio": {"output": {"voice": "cedar"}}}
    for options in (other, {**other, "conversation": "none"}):
        (error,) = driver.send("response.create", response=options)
        assert error["error"]["code"] == "cannot_update_voice"
        assert error["error"]["param"] == "response.audio.output.voice"
    assert driver.respond(audio={"output": {"voice": "marin"}}).settings.voice == "marin"


def test_a_voice_that_only_wrote_locks_nothing() -> None:
    driver = Driver()
    response = driver.respond(output_modalities=["text"], audio={"output": {"voice": "marin"}})
    response.begin_message()
    response.text("Yes.")
    response.complete()
    assert driver.respond(audio={"output": {"voice": "cedar"}}).settings.voice == "cedar"


def test_a_conversation_has_a_named_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_ITEMS", 3)
    driver = Driver()
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    for _ in range(3):
        assert "conversation.item.done" in types(driver.send("conversation.item.create", item=message))
    driver.append(200)
    for refused in (
        driver.send("conversation.item.create", item=message),
        driver.send("input_audio_buffer.commit"),
        driver.send("response.create"),
    ):
        assert [event["error"]["code"] for event in refused] == ["conversation_full"]
        assert "3 items" in refused[0]["error"]["message"]
    first = next(iter(driver.server.conversation))
    driver.send("conversation.item.delete", item_id=first.id)
    assert types(driver.send("input_audio_buffer.commit"))[0] == "input_audio_buffer.committed"


def test_a_response_has_options_of_its_own() -> None:
    driver = Driver(instructions="Session.", tools=[{"type": "function", "name": "f"}])
    format_ = {"type": "audio/pcmu"}
    response = driver.respond(
        instructions="Only now.", tools=[], max_output_tokens=7, metadata={"a": "b"},
        audio={"output": {"voice": "marin", "format": format_}},
    )  # fmt: skip
    chosen = response.settings
    assert (chosen.instructions, chosen.tools, chosen.max_output_tokens) == ("Only now.", [], 7)
    assert (chosen.voice, msgspec.to_builtins(chosen.format)) == ("marin", format_)
    assert driver.server.config.instructions == "Session."


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"output_modalities": []}, "response.output_modalities"),
    ({"output_modalities": ["audio", "text"]}, "response.output_modalities"),
    ({"max_output_tokens": 0}, "response.max_output_tokens"),
    ({"audio": {"output": {"format": {"type": "audio/mp3"}}}}, "response.audio.output.format"),
    ({"audio": {"output": {"voice": 7}}}, "response.audio.output.voice"),
    ({"audio": {"output": 7}}, "response.audio.output"),
    ({"audio": {"speed": 7}}, "response.audio"),
    ({"input": [{"type": "item_reference", "id": "item_x"}]}, "item_id"),
    ({"input": [{"type": "item_reference"}]}, "response.input[0].id"),
    ({"metadata": {"a": 1}}, "response.metadata"),
    ({"metadata": {"k" * 65: "long"}}, "response.metadata"),
    ({"nonsense": 1}, "response.nonsense"),
]


@pytest.mark.parametrize(("options", "param"), BAD_OPTIONS)
def test_bad_options_are_refused_and_start_nothing(options: dict[str, Any], param: str) -> None:
    driver = Driver()
    (event,) = driver.send("response.create", response=options, event_id="mine")
    assert event["type"] == "error"
    assert event["error"]["event_id"] == "mine"
    assert str(event["error"]["param"]).startswith(param)
    assert driver.server.active == {}
