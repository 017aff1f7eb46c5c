"""Both machines together: whatever the script and however late the frames, they end in agreement."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.server import ServerProtocol
from realtime_nb.protocol.session_config import SessionConfig
from realtime_nb.testing.odd_frames import mutated
from tests.protocol.scripts import MOVES, Pair, keep_talking, play
from tests.protocol.strict import check_server_frame

SCRIPTS = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 500)), max_size=60)
EXAMPLES = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(SCRIPTS)
def test_both_ends_end_with_equal_conversations_and_settings(script: list[tuple[str, int]]) -> None:
    pair = play(script, check_frames=False)
    assert pair.client.conversation.digest() == pair.server.conversation.digest()
    assert pair.client.config == pair.server.config


@EXAMPLES
@given(SCRIPTS)
def test_every_response_ends_exactly_once(script: list[tuple[str, int]]) -> None:
    pair = play(script, check_frames=False)
    begun = [event["response"]["id"] for event in pair.seen if event["type"] == "response.created"]
    assert len(begun) == len(set(begun))
    assert dict(pair.ends) == dict.fromkeys(begun, 1)
    assert pair.client.active == []
    assert pair.server.active == {}


@EXAMPLES
@given(SCRIPTS)
def test_every_frame_is_what_the_official_sdk_expects(script: list[tuple[str, int]]) -> None:
    play(script, check_frames=True)


@EXAMPLES
@given(SCRIPTS)
def test_every_delta_belongs_to_a_response_in_progress(script: list[tuple[str, int]]) -> None:
    pair = play(script, check_frames=False)
    open_responses: set[str] = set()
    for event in pair.seen:
        if event["type"] == "response.created":
            open_responses.add(event["response"]["id"])
        elif event["type"] == "response.done":
            open_responses.remove(event["response"]["id"])
        elif "response_id" in event:
            assert event["response_id"] in open_responses, event["type"]


@EXAMPLES
@given(SCRIPTS)
def test_output_items_of_out_of_band_responses_stay_out_of_the_conversation(script: list[tuple[str, int]]) -> None:
    pair = play(script, check_frames=False)
    outside = {
        item["id"]
        for event in pair.seen
        if event["type"] == "response.done" and event["response"]["conversation_id"] is None
        for item in event["response"]["output"]
    }
    told = {event["item"]["id"] for event in pair.seen if event["type"].startswith("conversation.item.added")}
    assert not outside & told


def test_a_cancel_sent_before_the_response_is_known_reaches_it() -> None:
    pair = Pair()
    pair.create_response(1)
    pair.cancel_response(0)
    pair.settle()
    (done,) = [event for event in pair.seen if event["type"] == "response.done"]
    assert done["response"]["status"] == "cancelled"
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


def _odd(frames: list[dict[str, object]], rng: random.Random) -> str:
    frame = rng.choice(frames)
    return json.dumps(mutated(frame, rng) if rng.random() < 0.7 else frame)


@pytest.mark.parametrize("seed", range(12))
def test_legal_frames_with_faults_crash_neither_machine_and_get_proper_answers(seed: int) -> None:
    rng = random.Random(seed)
    pair = play([(rng.choice(MOVES), rng.randrange(500)) for _ in range(300)], check_frames=False)
    server, client = ServerProtocol(SessionConfig()), ClientProtocol()
    for _ in range(300):
        server.receive(_odd(pair.sent, rng))
        for response in list(server.active.values()):
            if rng.random() < 0.2:
                keep_talking(response, 1)
        for frame in server.data_to_send():
            check_server_frame(frame)
        client.receive(_odd(pair.seen, rng))
        client.data_to_send()
