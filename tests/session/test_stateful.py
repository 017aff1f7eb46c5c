"""Sessions under random use and random faults, on a virtual clock: nothing waits, and nothing may go wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.client import _HANDLERS as CLIENT_HANDLERS
from realtime_nb.protocol.client import ClientProtocol
from realtime_nb.protocol.playback import Cut, CutKind, Playback
from realtime_nb.session.tool_runner import ToolRunner
from realtime_nb.session.turn import Turn
from realtime_nb.session.turn_builder import TurnBuilder
from realtime_nb.testing import virtual_clock
from realtime_nb.testing.scripted_server import Reply
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from realtime_nb.transport.faults import Faults
from tests.session.test_session import tone
from tests.session.virtual import World

FINAL = {"completed", "cancelled", "failed", "incomplete", "lost"}
REPLIES = st.one_of(
    st.builds(lambda n: Reply(text=" ".join(["word"] * n)), st.integers(1, 8)),
    st.just(Reply(fail="The voice died.")),
    st.just(Reply(tool_call=("look_up", '{"number": 7}'))),
    st.just(Reply(tool_call=("look_up", '{"wrong": 7}'))),
    st.just(Reply(tool_call=("somebody_elses", "{}"))),
)
CLIP = tone(300)
FRAME = tone(20).pcm16_bytes()


class Talking(RuleBasedStateMachine):
    """A user, a model, a network that may break."""

    faults: Any = st.none()

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.seen: list[tuple[Turn, str, int]] = []
        self.speaking_since: int | None = None

    @initialize(data=st.data(), push_to_talk=st.booleans())
    def connect(self, data: st.DataObject, push_to_talk: bool) -> None:
        self.given = data.draw(self.faults)
        self.world = World(faults=self.given, push_to_talk=push_to_talk)
        if self.world.session is None:  # it did not even open; that leaves nothing behind either
            self.world.close()
            self.given = None
            self.world = World(faults=None, push_to_talk=push_to_talk)

    # --- the user -----------------------------------------------------------------------------------------------

    @rule()
    def asks_in_writing(self) -> None:
        self.world.start(self.world.session.ask("How are you?"))

    @rule(words=st.integers(2, 8), said_ms=st.integers(60, 500), heard_ms=st.sampled_from([0, 7, 150, 333, 2000]))
    def asks_and_listens(self, words: int, said_ms: int, heard_ms: int) -> None:
        self.world.replies.insert(0, Reply(text=" ".join(["word"] * words)))
        self.asks_in_writing()
        self.world.advance(said_ms)
        self.world.play(heard_ms)

    @rule()
    def asks_with_a_clip(self) -> None:
        if self.world.session.config.audio.input.turn_detection is None:
            self.world.start(self.world.session.ask(CLIP, pace="fast"))

    @rule()
    def presses_to_talk(self) -> None:
        self.world.start(self.world.session.talk_start())

    @rule()
    def lets_go(self) -> None:
        self.world.start(self.world.session.talk_end())

    @rule(open_it=st.booleans())
    def switches_the_microphone(self, open_it: bool) -> None:
        session = self.world.session
        self.world.start(session.microphone_open() if open_it else session.microphone_close())

    @rule(frames=st.integers(1, 40))
    def makes_sounds(self, frames: int) -> None:
        for _ in range(frames):
            self.world.session.feed_microphone(FRAME)
        self.world.advance(0)

    @rule(reason=st.sampled_from(["button", "speech", "policy"]))
    def interrupts(self, reason: Any) -> None:
        self.world.start(self.world.session.interrupt(reason))

    @rule()
    def asks_aside(self) -> None:
        self.world.start(self.world.session.response.create(conversation="none", output_modalities=["text"]))

    @rule(number=st.integers(0, 50))
    def deletes_an_item(self, number: int) -> None:
        ids = self.world.session._owner.protocol.conversation.ids
        if ids:
            self.world.deleted_by_hand.add(ids[number % len(ids)])
            self.world.start(self.world.session.conversation.item.delete(ids[number % len(ids)]))

    @rule(duration_ms=st.sampled_from([1, 33, 150, 900]))
    def listens(self, duration_ms: int) -> None:
        self.world.play(duration_ms)

    # --- the model ----------------------------------------------------------------------------------------------

    @rule(reply=REPLIES)
    def will_answer(self, reply: Reply) -> None:
        self.world.replies.append(reply)

    @rule()
    def hears_speech(self) -> None:
        self.world.run(self._hears_speech())

    async def _hears_speech(self) -> None:
        """Look and act in one step of the loop: what lies ready there may switch the detector off."""
        server = self.world.server
        if server.protocol.config.audio.input.turn_detection is None or self.world.session.state != "connected":
            return
        end_ms = round(server.protocol.input_buffer.end_ms)
        began = server.protocol.speech_item_id
        if began is None:
            self.speaking_since = max(server.rules.speech_end_ms, end_ms - 300)
            await server.speech_started(self.speaking_since)
        elif self.speaking_since is not None and end_ms >= self.speaking_since:
            await server.speech_ends(self.speaking_since, end_ms)

    # --- the world ----------------------------------------------------------------------------------------------

    @rule(duration_ms=st.sampled_from([20, 60, 120, 300, 1000, 30_000]))
    def time_passes(self, duration_ms: int) -> None:
        self.world.advance(duration_ms)

    @rule(code=st.sampled_from([1006, 1006, 1011, 1001]))
    def the_network_breaks(self, code: int) -> None:
        self.world.server.cut(code, "a cut")
        self.world.advance(0)

    # --- what always holds --------------------------------------------------------------------------------------

    @precondition(lambda self: self.world is not None)
    @invariant()
    def nothing_went_wrong(self) -> None:
        world = self.world
        assert world.wrongs == [], world.wrongs
        assert world.player.wrongs == []
        failures = [repr(one.failure) for one in world.servers if one.failure is not None]
        assert failures == [], failures[0]

    @precondition(lambda self: self.world is not None and self.world.session is not None)
    @invariant()
    def what_was_heard_was_received(self) -> None:
        playback = self.world.session._owner.protocol.playback
        for key in playback.parts:
            assert 0 <= playback.heard_ms(key) <= playback.received_ms(key)

    @precondition(lambda self: self.world is not None and self.world.session is not None)
    @invariant()
    def history_only_grows(self) -> None:
        history = self.world.session.history
        assert len(history) >= len(self.seen)
        assert len({id(turn) for turn in history}) == len(history), "a turn is in the history twice"
        for (turn, status, n_samples), now in zip(self.seen, history, strict=False):
            assert turn is now
            assert turn.status == status, f"{status} became {turn.status}"
            assert len(turn.audio.samples) >= n_samples
        assert {turn.status for turn in history} <= FINAL
        self.seen = [(turn, turn.status, len(turn.audio.samples)) for turn in history]

    def teardown(self) -> None:
        world = self.world
        if world is None:
            return
        try:
            if world.session is not None:
                if world.server.protocol.speech_item_id is not None:
                    self.hears_speech()  # nobody speaks for ever
                world.advance(600_000)
                self.nothing_went_wrong()
                self.history_only_grows()
                self.all_is_quiet(world)
        finally:
            world.close()
        self.nothing_went_wrong()
        assert all(isinstance(one, Turn | RealtimeError) or one is not object for one in world.outcomes)

    def all_is_quiet(self, world: World) -> None:
        session = world.session
        assert session is not None
        if self.given is None:
            assert [task for task in world.tasks if not task.done()] == [], "somebody still waits"
            assert session.state == "connected", session.closed_reason
        spoiled = self.given is not None and (self.given.loss or self.given.duplicate or self.given.reorder)
        if not spoiled and session.state == "connected":
            mine, theirs = session._owner.protocol.conversation, world.server.protocol.conversation
            assert mine.digest() == theirs.digest(), f"{mine.digest()} != {theirs.digest()}"
            assert session._owner.turns.current is None, session._owner.turns.current


class TalkingOverABadNetwork(Talking):
    faults = st.builds(
        Faults,
        seed=st.integers(0, 1000),
        delay_ms=st.sampled_from([0, 40]),
        jitter_ms=st.sampled_from([0, 200]),
        loss=st.sampled_from([0, 0.02, 0.2]),
        duplicate=st.sampled_from([0, 0.1]),
        reorder=st.sampled_from([0, 0.1]),
        malformed=st.sampled_from([0, 0.1]),
        cut_after_frames=st.sampled_from([None, 12, 40]),
        expire_after_frames=st.sampled_from([None, 25]),
    )


class HearingTwice(Talking):
    faults = st.builds(Faults, seed=st.integers(0, 1000), duplicate=st.just(0.2))


CALM = [HealthCheck.too_slow, HealthCheck.filter_too_much]
TestTalking = Talking.TestCase
TestTalking.settings = settings(max_examples=50, stateful_step_count=30, suppress_health_check=CALM)
TestTalkingOverABadNetwork = TalkingOverABadNetwork.TestCase
TestTalkingOverABadNetwork.settings = settings(max_examples=50, stateful_step_count=30, suppress_health_check=CALM)


# --- the judge is judged ----------------------------------------------------------------------------------------


def _a_bit_more(playback: Playback) -> list[Cut]:
    return [cut._replace(audio_end_ms=cut.audio_end_ms + 1) for cut in _cut(playback)]


def _always(playback: Playback) -> list[Cut]:
    _cut(playback)
    return [Cut(CutKind.TRUNCATE, key, playback.heard_ms(key)) for key in playback.parts]


def _forgetful(client: ClientProtocol, event: se.ConversationItemDeleted) -> None:
    client.playback.forget(event.item_id)


def _twice(turns: TurnBuilder, response_id: str) -> None:
    if response_id in turns.turns:
        turns._finish(turns.turns[response_id])


def _never(runner: ToolRunner) -> None:
    raise ZeroDivisionError


_cut = Playback.cut
BREAKS: dict[str, tuple[Any, str, Any, str]] = {
    "truncates beyond what was heard": (Playback, "cut", _a_bit_more, "heard were"),
    "truncates needlessly": (Playback, "cut", _always, "needless|is cut at"),
    "forgets to delete": (CLIENT_HANDLERS, "", _forgetful, "!="),
    "tells a turn twice": (TurnBuilder, "finish", _twice, "twice"),
    "raises what is not ours": (ToolRunner, "connection_lost", _never, "division|ZeroDivision|left behind|wait"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_session_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, attribute, broken, says = BREAKS[name]
    if where is CLIENT_HANDLERS:
        monkeypatch.setitem(where, se.ConversationItemDeleted, broken)
    else:
        monkeypatch.setattr(where, attribute, broken)
    only = settings(max_examples=300, stateful_step_count=30, phases=[Phase.generate], database=None)
    with pytest.raises(BaseException, match=says):
        run_state_machine_as_test(HearingTwice if name == "tells a turn twice" else Talking, settings=only)


def test_a_tool_is_answered_when_the_speech_that_it_waited_for_is_thrown_away() -> None:
    world = World(faults=None, push_to_talk=False)
    assert world.session is not None
    world.replies.append(Reply(tool_call=("look_up", '{"number": 7}')))
    world.start(world.session.ask("Where is order 7?"))
    world.run(world.server.speech_started(0))
    # speech cancelled that answer: ask again while the user goes on speaking
    world.replies.append(Reply(tool_call=("look_up", '{"number": 7}')))
    world.start(world.session.ask("Where is order 7?"))
    world.advance(5000)
    assert not world.tasks[-1].done()
    world.start(world.session.input_audio_buffer.clear())
    world.advance(5000)
    assert world.tasks[1].done()
    world.close()


def test_the_clock_jumps_and_a_deadlock_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = VirtualClockLoop()
    loop.run_until_complete(asyncio.sleep(86_400))
    assert loop.monotonic() == pytest.approx(86_400)
    monkeypatch.setattr(virtual_clock, "DEADLOCK_S", 0.01)
    with pytest.raises(virtual_clock.Deadlock):
        loop.run_until_complete(asyncio.Event().wait())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
