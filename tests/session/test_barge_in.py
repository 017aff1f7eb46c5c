"""Whose speech interrupts what: at once, after a minimum, or never."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.protocol.response import ResponseOptions
from realtime_nb.protocol.server import Action
from realtime_nb.protocol.session_config import ServerVad
from realtime_nb.session.barge_in import BargeIn
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.session.turn import Turn
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import HERE, HandPlayer, talking, tone, until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def answering(policy: BargeIn) -> AsyncIterator[tuple[Session, ScriptedServer, asyncio.Task[Turn]]]:
    """A session in the middle of an answer that stops after three words."""
    server = ScriptedServer(Reply(text="one two three four", stop_after_words=3))
    async with server.running():
        session = await open_session(HERE, settings=session_settings(), open_transport=server.open, barge_in=policy)
        player = HandPlayer()
        session.attach_player(player)
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: sum(player.written.values()) == 3 * 4800)
        player.rendered.update(dict.fromkeys(player.written, 4800))
        try:
            yield session, server, asking
        finally:
            asking.cancel()
            await session.aclose()


@contextlib.asynccontextmanager
async def holding_cancels() -> AsyncIterator[
    tuple[Session, HandPlayer, list[str | bytes], Callable[[], Awaitable[None]]]
]:
    """A session in the middle of an answer, of a server that takes its time to cancel."""
    server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
    held: list[str | bytes] = []
    receive = server.protocol.receive

    def slowly(frame: str | bytes) -> list[Action]:
        if '"response.cancel"' in str(frame):
            held.append(frame)
            return []
        return receive(frame)

    async def release() -> None:
        for frame in held:
            receive(frame)
        server.go_on()
        await server.flush()

    server.protocol.receive = slowly  # type: ignore[method-assign]
    async with talking(server) as session:
        session.attach_player(player := HandPlayer())
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: sum(player.written.values()) == 2 * 4800)
        player.rendered.update(dict.fromkeys(player.written, 4800))
        yield session, player, held, release
        asking.cancel()


async def test_a_backchannel_interrupts_nothing_and_is_not_answered() -> None:
    async with answering(BargeIn(min_speech_ms=10_000)) as (session, server, asking):
        server.protocol.input_buffer.append(bytes(48 * 300))
        await server.speech_started(0)
        committed = server.protocol.speech_stopped(200, start_ms=0)
        server.protocol.transcribed(str(committed.item.id), "uh-huh", seconds=0.2)
        await server.flush()
        await until(lambda: any(line.status == "backchannel" for line in session.transcript))
        server.go_on()
        turn = await asking
        assert (turn.status, turn.interrupted) == ("completed", None)
        assert [line.text for line in session.transcript if line.status == "backchannel"] == ["uh-huh"]
    assert server.received.count("response.create") == 1
    assert "response.cancel" not in server.received


async def test_speech_that_lasts_interrupts_and_is_answered() -> None:
    async with answering(BargeIn(min_speech_ms=1)) as (session, server, asking):
        server.protocol.input_buffer.append(bytes(48 * 3000))
        await server.speech_started(0)
        turn = await asking
        assert (turn.status, turn.interrupted) == ("cancelled", "speech")
        committed = server.protocol.speech_stopped(2500, start_ms=0)
        server.protocol.transcribed(str(committed.item.id), "no, wait", seconds=2.5)
        await server.flush()
        server.go_on()
        await until(lambda: len(session.history) == 2)
        assert session.history[1].user_transcript == "no, wait"
    assert server.received.count("response.create") == 2


async def test_a_short_sound_interrupts_nothing_while_the_server_waits_for_more() -> None:
    async with answering(BargeIn(min_speech_ms=120)) as (session, server, asking):
        await session.microphone_open()
        hear = session._speech.feed_microphone
        hear(bytes(48 * 300) + tone(60).pcm16_bytes() + bytes(48 * 100))
        await until(lambda: server.protocol.input_buffer.buffered_ms == 460)
        await server.speech_started(0)
        began_ms = session.now_ms()
        await until(lambda: session.now_ms() > began_ms + 400)  # longer than the minimum: the hold is no speech
        assert not asking.done()
        hear(tone(200).pcm16_bytes())
        assert (await asking).interrupted == "speech"


@pytest.mark.parametrize("how", ["cleared", "by hand"])
async def test_a_short_sound_that_is_thrown_away_interrupts_nothing_later(how: str) -> None:
    async with answering(BargeIn(min_speech_ms=120)) as (session, server, asking):
        await session.microphone_open()
        hear = session._speech.feed_microphone
        hear(bytes(48 * 300) + tone(60).pcm16_bytes() + bytes(48 * 100))
        await until(lambda: server.protocol.input_buffer.buffered_ms == 460)
        await server.speech_started(0)
        await until(lambda: session._owner._chores._tasks)
        if how == "cleared":
            await session.input_audio_buffer.clear()
        else:
            await session.session.update(audio={"input": {"turn_detection": None}})
        await until(lambda: not session._owner._chores._tasks)
        hear(tone(400).pcm16_bytes())
        server.go_on()
        assert (await asking).interrupted is None


async def test_half_duplex_sends_silence_while_an_answer_sounds() -> None:
    async with answering(BargeIn(interrupt="off")) as (session, server, asking):
        detection = session.config.audio.input.turn_detection
        assert isinstance(detection, ServerVad)
        assert not detection.interrupt_response
        await session.microphone_open()
        session._speech.feed_microphone(tone(20).pcm16_bytes())
        await until(lambda: server.protocol.input_buffer.buffered_ms == 20)
        assert not any(server.protocol.input_buffer.take(0, 20))
        server.go_on()
        await asking
        for key in list(session._owner.protocol.playback.parts):
            session.playback.rendered(tuple(key), 10**9)
        session._speech.feed_microphone(tone(20).pcm16_bytes())
        await until(lambda: server.protocol.input_buffer.buffered_ms == 20)
        assert any(server.protocol.input_buffer.take(20, 40))


async def test_the_servers_own_interruption_is_the_default() -> None:
    async with answering(BargeIn()) as (_, server, asking):
        await server.speech_started(0)
        turn = await asking
        assert turn.interrupted == "speech"
    assert "response.cancel" not in server.received


async def test_an_interrupted_answer_says_how_much_was_heard() -> None:
    async with answering(BargeIn()) as (session, _, asking):
        interrupting = asyncio.create_task(session.interrupt())
        turn = await asking
        assert (turn.interrupted, turn.heard_ms) == ("button", 200)
        await interrupting


async def test_what_is_committed_by_hand_is_answered_once() -> None:
    server = ScriptedServer()
    async with server.running():
        session = await open_session(
            HERE,
            settings=session_settings(turn_detection="push_to_talk"),
            open_transport=server.open,
            barge_in=BargeIn(min_speech_ms=100),
        )
        await session.ask(tone(200), pace="fast")
        await session.ask("and now?")
        await session.aclose()
    assert server.received.count("response.create") == 2


async def test_an_answer_that_was_due_is_not_asked_of_the_next_connection() -> None:
    async with answering(BargeIn(min_speech_ms=10_000)) as (session, server, _):
        session._owner.barge_in._due = True
        server.cut()
        await until(lambda: session.state == "failed")
        assert not session._owner.barge_in._due


async def test_the_loudspeaker_stops_before_the_server_has_answered() -> None:
    async with holding_cancels() as (session, player, held, release):
        interrupting = asyncio.create_task(session.interrupt())
        await until(lambda: held)
        await until(lambda: player.flushes == 1)
        assert not interrupting.done()
        await release()
        assert await interrupting
        await until(lambda: session.history)
        assert session.history[0].heard_ms == 200


async def test_who_presses_to_talk_over_an_answer_is_heard_from_the_first_word() -> None:
    async with holding_cancels() as (session, _, held, release):
        pressing = asyncio.create_task(session.talk_start())
        await until(lambda: held)
        for _ in range(10):
            session.feed_microphone(tone(20).pcm16_bytes())
        await until(lambda: session._owner.tape.end_ms == 200)
        await release()
        await pressing
        await session.talk_end()
        await until(lambda: len(session.history) == 2)
        said = session.history[1].user_audio
        assert said is not None
        assert said.duration_ms == pytest.approx(200)


async def test_what_begins_while_the_player_stops_is_stopped_too() -> None:
    class Slow(HandPlayer):
        async def flush(self) -> dict[tuple[str, int], int]:
            counts = await super().flush()
            await stopped.wait()
            return counts

    stopped = asyncio.Event()
    server = ScriptedServer(Reply(text="one two"))
    async with talking(server) as session:
        session.attach_player(player := Slow())
        await session.ask("count")
        cutting = asyncio.create_task(session.interrupt())
        await until(lambda: player.flushes)
        aside = server.protocol.create_response(ResponseOptions(conversation="none"))
        aside.begin_message()
        aside.audio(bytes(4800))
        await server.flush()
        await until(lambda: len(player.written) == 2)
        stopped.set()
        await cutting
        aside.audio(bytes(4800))
        aside.complete()
        await server.flush()
        await until(lambda: len(session.history) == 2)
        assert list(player.written.values()) == [9600, 2400]


@pytest.mark.parametrize("wrong", [{"interrupt": "sometimes"}, {"min_speech_ms": -1}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        BargeIn(**wrong)  # type: ignore[arg-type]
