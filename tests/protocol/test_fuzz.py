"""Generated frames against both machines: no crash, every invariant on every step; and broken machines are seen.

`benchmarks/fuzz_server.py` does the same with a million.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.testing.fuzz import ServerFuzz
from realtime_nb.testing.fuzz_client import ClientFuzz
from realtime_nb.testing.invariants import INVARIANTS, InvariantBroken, ServerInvariants

FRAMES = 30_000
CODES = {
    *("invalid_json", "invalid_event", "invalid_value", "unknown_parameter", "missing_required_parameter"),
    *("conversation_already_has_active_response", "response_cancel_not_active", "input_audio_buffer_commit_empty"),
    *("item_retrieve_invalid_item_id", "item_delete_invalid_item_id", "item_truncate_invalid_item_id"),
    *("unsupported_content_type", "cannot_update_voice", "input_audio_buffer_full", "string_above_max_length"),
}


def test_the_server_machine_holds_every_invariant() -> None:
    report = ServerFuzz(seed=2029).run(FRAMES)
    assert report.frames_in == FRAMES
    assert report.error_codes.keys() >= CODES
    assert report.statuses.keys() == {"completed", "cancelled", "incomplete", "failed"}


@pytest.mark.parametrize("seed", range(3))
def test_short_sessions_too(seed: int) -> None:
    ServerFuzz(seed, frames_per_session=12).run(2000)


def test_the_client_machine_takes_anything() -> None:
    fuzz = ClientFuzz(seed=2026)
    fuzz.run(15_000)
    assert fuzz.kinds["(unknown)"] > 500
    assert fuzz.kinds["response.done"] > 200


# --- the judge is judged ----------------------------------------------------------------------------------------


class Broken(ServerProtocol):
    """A server machine with one fault, in what it sends or in what it keeps."""

    fault = ""

    def emit(self, event: se.ServerEventBase) -> None:
        for each in FAULTS[self.fault](self, event):
            super().emit(each)


def lost(kind: type) -> Any:
    return lambda machine, event: [] if isinstance(event, kind) else [event]


def twice(kind: type) -> Any:
    return lambda machine, event: [event, msgspec.structs.replace(event)] if isinstance(event, kind) else [event]


def changed(kind: type, **fields: Any) -> Any:
    return lambda machine, event: [msgspec.structs.replace(event, **fields)] if isinstance(event, kind) else [event]


def _nameless(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ErrorEvent):
        event.error.event_id = None
    return [event]


def _half_done(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ErrorEvent):
        machine.input_buffer.append(b"\0\0")
    return [event]


def _remembering(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ConversationItemDeleted):
        machine.spoken.note_speech(event.item_id, [], 100.0, 48)
    return [event]


def _endless(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ResponseCreated):
        machine.active.pop(event.response.id)
    return [event]


def _early(machine: ServerProtocol, event: Any) -> list[Any]:
    stopped = se.SpeechStopped(audio_end_ms=0, item_id="item_x")
    return [stopped, event] if isinstance(event, se.SpeechStarted) else [event]


def _outside(machine: ServerProtocol, event: Any) -> list[Any]:
    added = isinstance(event, se.OutputItemAdded) and event.item.id not in machine.conversation
    active = [one for one in machine.active.values() if isinstance(event, se.OutputItemAdded) and one.output]
    outside = added and any(not one.settings.in_conversation for one in active if one.id == event.response_id)
    return [event, se.ConversationItemAdded(item=event.item, previous_item_id=None)] if outside else [event]


def _long_winded(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ErrorEvent):
        event.error.message *= 1000
    return [event]


def _same_id(machine: ServerProtocol, event: Any) -> list[Any]:
    event.event_id = "event_1"
    return [event]


def _beyond(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.ConversationItemTruncated):
        event.audio_end_ms += 10**6
    return [event]


def _relabelled(machine: ServerProtocol, event: Any) -> list[Any]:
    if isinstance(event, se.OutputAudioDelta):
        event.output_index += 1
    return [event]


FAULTS: dict[str, Any] = {
    "greeting": lost(se.SessionCreated),
    "event_id": _same_id,
    "answer": twice(se.InputAudioBufferCleared),
    "refusal": _half_done,
    "error": _long_winded,
    "one_end": twice(se.ResponseDone),
    "one_active": changed(se.ResponseDone),
    "envelope": lost(se.ContentPartDone),
    "same_ids": _relabelled,
    "words": changed(se.OutputAudioTranscriptDone, transcript="something else"),
    "out_of_band": _outside,
    "order": changed(se.ConversationItemDone, previous_item_id="item_elsewhere"),
    "item": twice(se.ConversationItemDone),
    "truncate": _beyond,
    "speech": _early,
    "marks": changed(se.SpeechStopped, audio_end_ms=10**9),
    "transcription": twice(se.TranscriptionCompleted),
    "bounds": _remembering,
}


class TwoAtOnce(Broken):
    """Lets a second response of the default conversation begin."""

    @property
    def active_default(self) -> ServerResponse | None:
        return None


@pytest.mark.parametrize("invariant", FAULTS)
def test_every_invariant_is_seen_to_break(invariant: str) -> None:
    def make(ids: IdFactory) -> ServerProtocol:
        machine = (TwoAtOnce if invariant == "one_active" else Broken)(SessionConfig(id="s", model="m"), ids=ids)
        machine.fault = invariant  # type: ignore[attr-defined]
        return machine

    with pytest.raises(InvariantBroken) as seen:
        ServerFuzz(seed=5, make_machine=make).run(3000)
    assert seen.value.invariant == invariant


@pytest.mark.parametrize(
    ("invariant", "fault"),
    [
        ("answer", _nameless),
        ("answer", lost(se.ConversationItemRetrieved)),
        ("bounds", _endless),
        ("item", lost(se.ConversationItemDone)),
        ("one_end", lost(se.ResponseDone)),
        ("words", changed(se.FunctionCallArgumentsDone, arguments="{}")),
        ("envelope", twice(se.ContentPartAdded)),
        ("speech", lost(se.InputAudioBufferCommitted)),
    ],
)
def test_more_faults_are_seen(invariant: str, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "more", fault)

    def make(ids: IdFactory) -> ServerProtocol:
        machine = Broken(SessionConfig(id="s", model="m"), ids=ids)
        machine.fault = "more"
        return machine

    with pytest.raises(InvariantBroken) as seen:
        ServerFuzz(seed=6, make_machine=make).run(3000)
    assert seen.value.invariant in (invariant, "envelope", "answer")


def test_a_frame_that_is_no_event_breaks_shape() -> None:
    rules = ServerInvariants()
    with pytest.raises(InvariantBroken, match="shape"):
        rules.server_sent('{"type":"response.sing"}')
    assert INVARIANTS.keys() - FAULTS.keys() == {"shape"}


def test_indices_that_no_list_has_do_no_harm() -> None:
    client = ClientProtocol()
    item = '{"type":"message","id":"item_a","role":"assistant","content":[{"type":"output_text","text":"a"}]}'
    client.receive('{"type":"conversation.item.added","previous_item_id":null,"item":' + item + "}")
    for index in (-1, 7, 2**62, -(2**63)):
        delta = {"type": "response.output_text.delta", "item_id": "item_a", "content_index": index, "delta": "b"}
        client.receive(msgspec.json.encode(delta))
    assert client.conversation.digest() == [("item_a", "assistant", None, "a")]
