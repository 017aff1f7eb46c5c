"""A broken session goes on: backoff without waiting, state rebuilt as text, nothing of the microphone lost silently."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from realtime_nb.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectionRefused,
    LocalProtocolError,
    RemoteProtocolError,
)
from realtime_nb.protocol.conversation import Conversation
from realtime_nb.protocol.items import (
    FunctionCall,
    InputAudio,
    InputImage,
    InputText,
    McpListTools,
    Message,
    OutputAudio,
    item_text,
)
from realtime_nb.protocol.session_config import SessionConfig, merge
from realtime_nb.session import connection
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import Reconnect, restorable, retryable, settings_again
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.session.tools import Tool
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from realtime_nb.transport.memory import MemoryTransport
from tests.session.test_session import HERE, tone, until

pytestmark = pytest.mark.anyio


MADE = Tool(lambda: "later", name="made")  # here, as pydantic reads its plugins from disk once


class Waits:
    """Stands in for sleeping: notes how long, waits for nothing but a turn of the loop."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.go.wait()


@contextlib.asynccontextmanager
async def surviving(
    servers: list[ScriptedServer | Exception], waits: Waits, policy: Reconnect | None = None, **settings: object
) -> AsyncIterator[Session]:
    pending = list(servers)

    async def open_next() -> MemoryTransport:
        server = pending.pop(0)
        if isinstance(server, Exception):
            raise server
        return server.transport

    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            if isinstance(server, ScriptedServer):
                await stack.enter_async_context(server.running())
        session = await open_session(
            HERE,
            settings=session_settings(**settings),
            open_transport=open_next,
            reconnect=policy or Reconnect(),
            sleep=waits,
        )
        stack.push_async_callback(session.aclose)
        yield session


async def test_the_conversation_and_the_settings_come_back() -> None:
    first, second = ScriptedServer(Reply(text="nice to meet you")), ScriptedServer(Reply(text="yes I do"), seed=2)
    waits = Waits()
    async with surviving([first, second], waits, instructions="Be kind.", voice="coral") as session:
        await session.ask("my name is Ada")
        before = session._owner.protocol.conversation.digest()
        first.cut(1006)
        await until(lambda: session.state_restored is not None)
        restored = session.state_restored
        assert restored is not None
        assert (restored.items, restored.items_lost, restored.spoken_as_text) == (2, 0, 1)
        await until(lambda: len(second.protocol.conversation) == 2)
        assert [words for _, _, _, words in second.protocol.conversation.digest()] == [row[3] for row in before]
        assert second.protocol.config.instructions == "Be kind."
        assert second.protocol.config.audio.output.voice == "coral"
        assert (await session.ask("do you remember?")).transcript == "yes I do"
        assert [turn.user_transcript for turn in session.history] == ["my name is Ada", "do you remember?"]
        assert "as text" in str(restored)
    assert waits.seconds == [pytest.approx(0.5, rel=0.25)]


async def test_what_was_being_answered_is_lost_and_said() -> None:
    first, second = ScriptedServer(Reply(text="one two three", stop_after_words=2)), ScriptedServer(seed=2)
    async with surviving([first, second], Waits()) as session:
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: session._owner.turns.current and session._owner.turns.current.audio.duration_ms == 400)
        first.cut(1011, "restart")
        with pytest.raises(ConnectionLost, match="restart"):
            await asking
        assert (session.history[-1].status, session.history[-1].transcript) == ("lost", "one two")
        await until(lambda: session.state == "connected")
        assert (await session.ask("again")).status == "completed"


async def test_asked_and_cut_before_any_answer_raises_too() -> None:
    first, second = ScriptedServer(), ScriptedServer(seed=2)
    async with surviving([first, second], Waits(), turn_detection="push_to_talk") as session:
        asking = asyncio.create_task(session.ask(tone(400)))
        await until(lambda: first.protocol.input_buffer.buffered_ms > 100)
        first.cut()
        with pytest.raises(ConnectionLost):
            await asking


async def test_the_microphone_is_kept_through_the_gap_up_to_a_bound() -> None:
    first, second = ScriptedServer(), ScriptedServer(seed=2)
    waits = Waits()
    async with surviving([first, second], waits, Reconnect(kept_microphone_ms=100)) as session:
        await session.microphone_open()
        waits.go.clear()
        first.cut()
        await until(lambda: session.state == "reconnecting")
        for _ in range(8):
            session._speech.feed_microphone(tone(20).pcm16_bytes())
        waits.go.set()
        await until(lambda: session.state == "connected")
        restored = session.state_restored
        assert restored is not None
        assert (restored.microphone_kept_ms, restored.microphone_dropped_ms) == (100, 60)
        await until(lambda: second.protocol.input_buffer.buffered_ms == 100)


async def test_it_tries_again_with_growing_waits_and_then_gives_up() -> None:
    first = ScriptedServer()
    refused = [ConnectionRefused("nobody") for _ in range(3)]
    waits = Waits()
    async with surviving([first, *refused], waits, Reconnect(attempts=3, jitter=0)) as session:
        first.cut()
        await until(lambda: session.state == "failed")
        assert isinstance(session.closed_reason, ConnectionRefused)
    assert waits.seconds == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", [1000, 3000, 4000, 1008])
async def test_what_cannot_be_helped_is_not_tried_again(code: int) -> None:
    first = ScriptedServer()
    waits = Waits()
    async with surviving([first, ScriptedServer(seed=2)], waits) as session:
        first.cut(code, "no")
        await until(lambda: session.state == "failed")
    assert waits.seconds == []


async def test_a_key_refused_on_the_way_back_stops() -> None:
    first = ScriptedServer()
    async with surviving([first, AuthenticationFailed("revoked")], Waits()) as session:
        first.cut()
        await until(lambda: session.state == "failed")
        assert isinstance(session.closed_reason, AuthenticationFailed)


async def test_closing_while_waiting_ends_at_once() -> None:
    first = ScriptedServer()
    waits = Waits()
    async with surviving([first], waits) as session:
        waits.go.clear()
        first.cut()
        await until(lambda: session.state == "reconnecting")
        await asyncio.wait_for(session.aclose(), 5)
        assert session.state == "closed"


async def test_the_first_connection_is_never_retried() -> None:
    waits = Waits()
    with pytest.raises(ConnectionRefused):
        async with surviving([ConnectionRefused("nobody"), ScriptedServer()], waits):
            pass
    assert waits.seconds == []


def test_waits_double_are_bounded_and_jittered() -> None:
    policy = Reconnect(first_delay_s=1, longest_delay_s=4, jitter=0.5)
    chance = random.Random(1)
    for attempt, longest in ((1, 1), (2, 2), (3, 4), (9, 4)):
        delays = [policy.delay_s(attempt, chance) for _ in range(50)]
        assert longest / 2 <= min(delays) < max(delays) <= longest


def test_what_can_be_rebuilt() -> None:
    conversation = Conversation()
    for number, item in enumerate(
        [
            Message(role="user", content=[InputAudio(transcript="spoken")]),
            Message(role="user", content=[InputAudio(transcript=None)]),
            Message(role="user", content=[InputText(text="see"), InputImage(image_url="data:image/png;base64,")]),
            Message(role="assistant", content=[OutputAudio(transcript="said")]),
            Message(role="assistant", content=[]),
            FunctionCall(name="f", arguments="{}", call_id="call_1"),
            McpListTools(server_label="x", tools=[]),
        ]
    ):
        item.id = f"item_{number}"
        conversation.insert(item)
    items, lost, spoken = restorable(conversation)
    assert [item_text(item) for item in items] == ["spoken", "see", "said", "f({})"]
    assert (lost, spoken) == (3, 2)


def test_only_changed_settings_are_sent_again() -> None:
    assert settings_again(SessionConfig(id="sess_1", model="m", expires_at=5)) == {}
    changed = merge(SessionConfig(), {"type": "realtime", "instructions": "x"})
    assert settings_again(changed) == {"instructions": "x"}


@pytest.mark.parametrize(("code", "again"), [(1001, True), (1006, True), (1011, True), (1000, False), (3000, False)])
def test_which_close_codes_are_worth_another_try(code: int, again: bool) -> None:
    assert retryable(ConnectionLost("x", code=code)) is again


async def test_a_server_that_greets_and_hangs_up_is_not_called_for_ever() -> None:
    servers = [ScriptedServer(seed=number) for number in range(1, 9)]
    waits = Waits()
    async with surviving(list(servers), waits, Reconnect(attempts=3, jitter=0)) as session:
        for server, following in itertools.pairwise(servers[:5]):
            server.cut(1011, "busy")
            await until(lambda following=following: following.received or session.state == "failed")
        assert session.state == "failed"
        assert session.state_restored is not None
        assert session.state_restored.attempts == 1
    assert waits.seconds == [0.5, 1.0, 2.0]


async def test_a_connection_that_lasted_begins_to_count_anew() -> None:
    servers = [ScriptedServer(seed=number) for number in range(1, 6)]
    waits = Waits()
    async with surviving(list(servers), waits, Reconnect(attempts=2, jitter=0, longest_delay_s=0.5)) as session:
        for server, following in itertools.pairwise(servers):
            session._owner._connected_ms -= 600
            server.cut()
            await until(lambda following=following: following.received)
        assert session.state == "connected"
    assert waits.seconds == [0.5] * 4


async def test_a_tool_of_the_gap_is_offered_beside_the_others() -> None:
    first, second = ScriptedServer(), ScriptedServer(seed=2)
    waits = Waits()
    given = {"type": "function", "name": "given", "parameters": {"type": "object", "properties": {}}}
    async with surviving([first, second], waits, tools=[given]) as session:
        waits.go.clear()
        first.cut()
        await until(lambda: session.state == "reconnecting")
        session.tools.add(MADE)
        waits.go.set()
        await until(lambda: second.protocol.config.tools)
        assert [tool["name"] for tool in second.protocol.config.tools] == ["given", "made"]


async def test_a_model_refused_long_ago_is_not_why_the_network_breaks() -> None:
    server = ScriptedServer()
    async with surviving([server], Waits(), Reconnect(attempts=0)) as session:
        server.protocol.error(RemoteProtocolError("No such recogniser.", code="model_not_found"))
        await server.flush()
        await until(lambda: any(event.event_type == "error" for event in session.events))
        server.cut(1006)
        await until(lambda: session.state == "failed")
        assert isinstance(session.closed_reason, ConnectionLost)


async def test_a_long_conversation_comes_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ScriptedServer(), ScriptedServer(seed=2)
    async with surviving([first, second], Waits()) as session:
        for words in ("one", "two", "three"):
            await session.ask(words)
        monkeypatch.setattr(connection, "OUTBOX_FRAMES", 3)
        first.cut()
        await until(lambda: len(second.protocol.conversation) == 6)
        assert session.state == "connected"


async def test_what_does_not_fit_into_the_outbox_was_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ScriptedServer()
    async with surviving([server], Waits()) as session:
        with monkeypatch.context() as full:
            full.setattr(connection, "OUTBOX_FRAMES", 0)
            with pytest.raises(LocalProtocolError, match="too slow"):
                await session.ask("hello")
            with pytest.raises(LocalProtocolError, match="too slow"):
                await session.input_audio_buffer.append(tone(100))
        assert session._owner.tape.end_ms == 0  # the server's count, too
        assert session._owner.protocol.creates_pending == 0
        assert (await session.ask("hello")).status == "completed"
        assert len(server.protocol.conversation) == 2
