"""The canonical sequences, replayed through both machines, and judged as they are recorded."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from realtime_nb.errors import LocalProtocolError
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.codec import decode_client_event
from realtime_nb.protocol.conversation import Conversation
from realtime_nb.protocol.ids import IdFactory
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.server_events import UnknownEvent
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.testing.invariants import InvariantBroken, ServerInvariants
from tests.protocol.recorded import NAMES, Driver, Ids, load
from tests.protocol.strict import check_server_frame

Line = dict[str, Any]


def words_of(conversation: Conversation) -> list[list[str]]:
    return [[kind, words] for _, kind, _, words in conversation.digest()]


def replay_to_server(lines: list[Line]) -> ServerProtocol:
    kind = "transcription" if lines[0].get("transcription") else "realtime"
    shape = "realtime.transcription_session" if kind == "transcription" else "realtime.session"
    config = SessionConfig(type=kind, object=shape, id="sess_real", model="m", expires_at=1900000000)  # type: ignore[arg-type]
    server = ServerProtocol(config, ids=IdFactory(3))
    ids, drive = Ids(), Driver(server)
    server.open()
    waiting: list[Any] = []
    for number, line in enumerate(lines[1:], start=2):
        waiting += [json.loads(frame) for frame in server.data_to_send()]
        if "S" in line:
            assert waiting, f"line {number}: the server sends no {line['S']['type']}"
            ids.same(line["S"], waiting.pop(0), f"line {number}")
        else:
            assert not waiting, f"line {number}: the server also sends {waiting[0]}"
            if "C" in line:
                server.receive(json.dumps(ids.real(line["C"])))
            elif "D" in line:
                drive(*line["D"])
    return server


def replay_to_client(lines: list[Line]) -> ClientProtocol:
    client = ClientProtocol(ids=IdFactory(4))
    unsent: list[Line] = []
    for number, line in enumerate(lines[1:], start=2):
        unsent += [json.loads(frame) for frame in client.data_to_send()]
        if "S" in line:
            event = client.receive(json.dumps(line["S"]))
            assert not isinstance(event, UnknownEvent), f"line {number}: {event}"
        elif "C" in line and unsent:  # the client's machine asks by itself
            Ids().same(line["C"], unsent.pop(0), f"line {number}")
        elif "C" in line:
            _send(client, line)
            client.data_to_send()
    assert unsent == []
    return client


def _send(client: ClientProtocol, line: Line) -> None:
    event = decode_client_event(json.dumps(line["C"]))
    if line.get("past_the_client"):
        with pytest.raises(LocalProtocolError):
            client.send(event)
    else:
        client.send(event)


@pytest.mark.parametrize("name", NAMES)
def test_the_server_machine_says_the_same(name: str) -> None:
    lines = load(name)
    if not lines[0].get("client_only"):
        server = replay_to_server(lines)
        assert words_of(server.conversation) == lines[-1]["conversation"]
        assert server.active == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_client_machine_follows(name: str) -> None:
    lines = load(name)
    client = replay_to_client(lines)
    assert words_of(client.conversation) == lines[-1]["conversation"]
    assert (client.active, client.creates_pending) == ([], 0)


@pytest.mark.parametrize("name", NAMES)
def test_the_recording_holds_every_invariant_and_the_sdk_reads_it(name: str) -> None:
    rules = ServerInvariants(lockstep=False)
    for line in load(name):
        if "C" in line:
            rules.client_sent(json.dumps(line["C"]))
        elif "S" in line:
            check_server_frame(json.dumps(line["S"]))
            rules.server_sent(json.dumps(line["S"]))
    rules.ended()


def test_every_sequence_of_the_reference_is_there() -> None:
    assert set(NAMES) == {
        *("server_vad_turn", "push_to_talk", "function_call", "barge_in", "interrupted_after_generation"),
        *("client_cancel", "text_only", "out_of_band", "transcription_session", "recoverable_error"),
        *("idle_timeout", "response_failure", "mcp"),
    }


# --- the replays are judged -------------------------------------------------------------------------------------


def test_a_server_that_says_something_else_is_seen() -> None:
    lines = load("text_only")
    spoken = next(line for line in lines if line.get("S", {}).get("type") == "response.output_text.done")
    spoken["S"]["text"] = "Something else."
    with pytest.raises(AssertionError, match="is not 'Something else"):
        replay_to_server(lines)


@pytest.mark.parametrize("lost", ["response.content_part.done", "conversation.item.done", "response.output_item.done"])
def test_a_lost_line_is_seen(lost: str) -> None:
    lines = load("server_vad_turn")
    lines.remove([line for line in lines if line.get("S", {}).get("type") == lost][-1])
    with pytest.raises(AssertionError):
        replay_to_server(lines)
    rules = ServerInvariants(lockstep=False)
    with pytest.raises(InvariantBroken):
        for line in lines:
            if "C" in line:
                rules.client_sent(json.dumps(line["C"]))
            elif "S" in line:
                rules.server_sent(msgspec.json.encode(line["S"]))
