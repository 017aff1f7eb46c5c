"""A session against a scripted server on the real protocol machine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from realtime_nb.audio import AudioClip
from realtime_nb.errors import (
    AudioError,
    ConnectionLost,
    LocalProtocolError,
    ServerRejected,
    SessionClosed,
)
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.session.speech_input import FRAME_MS, SETTLE_MS
from realtime_nb.session.turn import Turn
from realtime_nb.testing.scripted_server import Reply, ScriptedServer

pytestmark = pytest.mark.anyio

HERE = Endpoint(choice="url", base_url="http://in-memory/v1", model="scripted")


def tone(duration_ms: int = 300) -> AudioClip:
    times = np.arange(24 * duration_ms) / 24_000
    return AudioClip((8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16))


@contextlib.asynccontextmanager
async def talking(server: ScriptedServer, **settings: object) -> AsyncIterator[Session]:
    async with server.running():
        session = await open_session(HERE, settings=session_settings(**settings), open_transport=server.open)
        try:
            yield session
        finally:
            await session.aclose()


async def until(condition: object, *, timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


class HandPlayer:
    """A player that renders what the test says it rendered."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, int], int] = {}
        self.rendered: dict[tuple[str, int], int] = {}
        self.ended: list[tuple[str, int]] = []
        self.flushes = 0

    def begin(self, item_id: str, content_index: int) -> None:
        self.written[item_id, content_index] = 0

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        self.written[item_id, content_index] += len(pcm16) // 2

    def end(self, item_id: str, content_index: int) -> None:
        self.ended.append((item_id, content_index))

    async def flush(self) -> dict[tuple[str, int], int]:
        self.flushes += 1
        return self.rendered


async def test_a_typed_turn_has_words_audio_usage_and_events() -> None:
    async with talking(ScriptedServer(Reply(text="good morning to you"))) as session:
        turn = await session.ask("hello")
    assert (turn.status, turn.transcript, turn.user_transcript) == ("completed", "good morning to you", "hello")
    assert turn.audio.duration_ms == 800
    assert turn.usage is not None
    types = [event.event_type for event in turn.events]
    assert types[0] == "conversation.item.create"
    assert types[-1] == "response.done"
    left_out_bytes = sum(event.audio_left_out_bytes for event in turn.events)
    assert left_out_bytes == 800 * 48  # the audio is in turn.audio, once
    assert max(len(event.frame) for event in turn.events) < 2000
    assert turn.answer_latency_ms is not None
    assert "good morning" in turn._repr_mimebundle_()["text/html"]


async def test_a_clip_in_push_to_talk_is_appended_committed_and_answered() -> None:
    server = ScriptedServer()
    async with talking(server, turn_detection="push_to_talk") as session:
        turn = await session.ask(tone(), pace="fast")
    assert turn.user_transcript == "(recognised)"
    assert turn.user_audio is not None
    assert turn.user_audio.duration_ms == pytest.approx(300, abs=1)
    assert server.received[-2:] == ["input_audio_buffer.commit", "response.create"]


async def test_a_clip_under_server_vad_is_followed_by_silence_until_speech_stops() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        asking = asyncio.create_task(session.ask(tone(), pace="fast"))
        await until(lambda: server.protocol.input_buffer.end_ms > 400)
        await server.speech(0, 400, "a tone")
        turn = await asking
    assert turn.user_transcript == "a tone"
    assert turn.marks.speech_stopped_ms is not None
    kinds = {region.kind for region in session.regions}
    assert kinds == {"speech", "hold", "response"}


async def test_a_clip_whose_turn_ends_before_the_clip_is_still_a_turn() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        asking = asyncio.create_task(session.ask(tone(800)))
        await until(lambda: server.protocol.input_buffer.end_ms > 300)
        await server.speech(0, 300, "early")
        assert (await asking).user_transcript == "early"


async def test_a_clip_that_says_where_speech_ends_gives_the_true_latency() -> None:
    server = ScriptedServer()
    clip = AudioClip(tone().samples, speech_start_ms=0, speech_end_ms=200)
    async with talking(server) as session:
        asking = asyncio.create_task(session.ask(clip))
        await until(lambda: server.protocol.input_buffer.end_ms > 400)
        await server.speech(0, 400, "a tone")
        turn = await asking
    assert turn.marks.speech_end_ms is not None
    assert turn.voice_latency_ms is not None
    assert turn.voice_latency_ms >= 200 - 21
    assert "from the end of the speech" in turn._repr_mimebundle_()["text/html"]


async def test_barge_in_truncates_at_what_was_rendered() -> None:
    server = ScriptedServer(Reply(text="one two three four five", stop_after_words=4))
    async with talking(server) as session:
        player = HandPlayer()
        session.attach_player(player)
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: sum(player.written.values()) == 4 * 4800)
        (key,) = player.written
        player.rendered[key] = 2 * 4800 + 2400  # 500 ms: two words and a half
        await server.speech_started(0)
        turn = await asking
        await until(lambda: turn.remembered is not None)
        assert (turn.status, turn.interrupted, turn.heard_ms) == ("cancelled", "speech", 500)
        assert turn.remembered == "one two"
        assert player.flushes == 1
        line = next(line for line in session.transcript if line.role == "assistant")
        assert line.heard_characters == len("one two")
        server.go_on()
        assert sum(player.written.values()) == 4 * 4800


async def test_interrupted_before_a_sound_deletes_the_item_and_never_truncates() -> None:
    server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
    async with talking(server) as session:
        player = HandPlayer()
        session.attach_player(player)
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: player.written)
        assert await session.interrupt() is True
        turn = await asking
        await until(lambda: "conversation.item.delete" in server.received)
        assert (turn.interrupted, turn.heard_ms) == ("button", 0)
    assert "conversation.item.truncate" not in server.received


async def test_an_answer_heard_to_the_end_is_never_truncated() -> None:
    server = ScriptedServer(Reply(text="one two"))
    async with talking(server) as session:
        player = HandPlayer()
        session.attach_player(player)
        await session.ask("count")
        (key,) = player.written
        session.playback.rendered(key, 2 * 4800)
        assert await session.interrupt() is False
        await session.ask("again")
    assert not {"conversation.item.truncate", "conversation.item.delete", "response.cancel"} & set(server.received)


async def test_without_a_player_a_second_question_truncates_nothing() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        await session.ask("one")
        await session.ask("two")
        assert [turn.user_transcript for turn in session.history] == ["one", "two"]
    assert "conversation.item.truncate" not in server.received


async def test_push_to_talk_interrupts_commits_and_answers() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        await session.talk_start()
        for _ in range(10):
            session.feed_microphone(tone(20).pcm16_bytes())
        await until(lambda: server.protocol.input_buffer.buffered_ms >= 200)
        await session.talk_end()
        await until(lambda: session.history)
        assert session.history[0].user_audio is not None
        assert session.config.audio.input.turn_detection is None


async def test_too_short_a_press_says_so_and_asks_nothing() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        await session.talk_start()
        with pytest.raises(LocalProtocolError, match="at least 100 ms"):
            await session.talk_end()
        await session.ask("still here")
    assert "input_audio_buffer.commit" not in server.received


async def test_microphone_frames_are_ignored_while_closed() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        session.feed_microphone(bytes(960))
        await asyncio.sleep(0)
        await session.microphone_open()
        session.feed_microphone(bytes(960))
        await until(lambda: "input_audio_buffer.append" in server.received)
    assert server.received.count("input_audio_buffer.append") == 1


async def test_a_microphone_closed_in_the_middle_of_speech_lets_the_turn_end() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        await session.microphone_open()
        session.feed_microphone(bytes(960))
        await until(lambda: "input_audio_buffer.append" in server.received)
        await server.speech_started(0)
        await until(lambda: "input_audio_buffer.speech_started" in [event.event_type for event in session.events])
        await session.microphone_close()
        await until(lambda: server.received.count("input_audio_buffer.append") > 1 + SETTLE_MS // FRAME_MS)
        await server.speech_stopped(0, 20, "hello")
        await until(lambda: session.history)
        assert session.history[0].user_transcript == "hello"
        await until(lambda: not session._owner._chores._tasks)


async def test_a_rejected_update_raises_and_changes_nothing() -> None:
    async with talking(ScriptedServer()) as session:
        with pytest.raises(ServerRejected) as refused:
            await session.session.update(audio={"output": {"speed": 9}})
        assert refused.value.code == "invalid_value"
        assert session.config.audio.output.speed == 1.0
        assert (await session.ask("go on")).status == "completed"


async def test_settings_refused_at_the_start_close_the_session() -> None:
    server = ScriptedServer()
    async with server.running():
        with pytest.raises(ServerRejected):
            await open_session(HERE, settings={"no_such_setting": 1}, open_transport=server.open)
        with pytest.raises(ConnectionLost):
            await server.transport.send("{}")


async def test_a_broken_connection_keeps_what_was_received() -> None:
    server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
    async with talking(server) as session:
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms == 400)
        server.cut(1011, "out of coffee")
        with pytest.raises(ConnectionLost, match="out of coffee"):
            await asking
        assert session.state == "failed"
        assert (session.history[-1].status, session.history[-1].transcript) == ("lost", "one two")
        with pytest.raises(ConnectionLost):
            await session.ask("anyone?")
        assert len(session.events) > 5


async def test_a_failed_response_is_a_turn_with_an_error() -> None:
    async with talking(ScriptedServer(Reply(fail="the voice died"))) as session:
        turn = await session.ask("hello")
        assert turn.status == "failed"
        assert "the voice died" in str(turn.error)


async def test_malformed_and_unknown_frames_are_logged_and_survived() -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        for frame in ("not json", "[1]", '{"type":"some.new.event","x":1}', '{"type":"response.done"}'):
            await server.send_raw(frame)
        turn = await session.ask("hello")
        assert turn.status == "completed"
        types = [event.event_type for event in session.events]
        assert types.count("(not an event)") == 2
        assert "some.new.event" in types


@pytest.mark.parametrize("clip", [AudioClip.silence(0), AudioClip.silence(500)])
async def test_an_empty_or_silent_clip_is_refused_before_anything_is_sent(clip: AudioClip) -> None:
    server = ScriptedServer()
    async with talking(server) as session:
        with pytest.raises(AudioError):
            await session.ask(clip)
    assert server.received == ["session.update"]


async def test_turns_can_be_iterated_and_end_with_the_session() -> None:
    async with talking(ScriptedServer()) as session:
        seen: list[Turn] = []

        async def follow() -> None:
            async for turn in session.turns():
                seen.append(turn)

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await session.ask("one")
        await session.ask("two")
        await until(lambda: len(seen) == 2)
        await session.aclose()
        await asyncio.wait_for(following, 5)
    assert [turn.user_transcript for turn in seen] == ["one", "two"]


async def test_wire_names_work_as_attribute_paths() -> None:
    async with talking(ScriptedServer(Reply(text="fine"))) as session:
        item = await session.conversation.item.create("hi")
        assert (await session.conversation.item.retrieve(str(item.id))).id == item.id
        response = await session.response.create(output_modalities=["text"])
        await until(lambda: session.history)
        assert session.history[0].response_id == response.id
        assert session.history[0].transcript == "fine"
        await session.conversation.item.delete(str(item.id))
        assert str(item.id) not in [str(one.id) for one in session.conversation.items]


async def test_closed_twice_is_fine_and_says_closed_afterwards() -> None:
    async with talking(ScriptedServer()) as session:
        await session.aclose()
        await session.aclose()
        with pytest.raises(SessionClosed):
            await session.ask("hello")


async def test_a_dropped_session_closes_its_connection() -> None:
    server = ScriptedServer()
    async with server.running():
        session = await open_session(HERE, settings={}, open_transport=server.open)
        owner = session._owner
        del session
        gc.collect()
        await asyncio.wait_for(owner.finished.wait(), 5)
    assert [task.get_name() for task in asyncio.all_tasks() if "realtime_nb" in task.get_name()] == []


async def test_every_call_may_come_from_another_loop() -> None:
    async with talking(ScriptedServer(Reply(text="over here"))) as session:
        answers: list[str] = []

        def elsewhere() -> None:
            async def ask() -> None:
                answers.append((await session.ask("hello")).transcript)

            asyncio.run(ask())

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await until(lambda: answers)
        await asyncio.to_thread(thread.join)
    assert answers == ["over here"]
