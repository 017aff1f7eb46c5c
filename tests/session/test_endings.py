"""What is left when a session has ended: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from realtime_nb.errors import ConnectionLost
from realtime_nb.session import chores, turn_stream
from realtime_nb.session.connection import Outbox, _greeting, run_connection
from realtime_nb.session.opening import open_session
from realtime_nb.session.reconnect import pause
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from realtime_nb.transport.memory import MemoryTransport, memory_pair
from tests.session.test_session import HERE, HandPlayer, talking, until

pytestmark = pytest.mark.anyio


class Attached:
    """An observer that knows its session, as every widget does."""

    def __init__(self, session: Session) -> None:
        self.session = session


async def test_a_closed_session_is_freed_though_its_observer_holds_it() -> None:
    server = ScriptedServer()
    async with server.running():
        session = await open_session(HERE, settings=session_settings(), open_transport=server.open)
        session.observe(Attached(session))
        await session.ask("hello")
        await session.aclose()
        gone = weakref.ref(session)
        del session

        def freed() -> bool:
            gc.collect()
            return gone() is None

        await until(freed)


async def test_closing_in_the_moment_of_the_greeting_still_closes() -> None:
    greeted = asyncio.Event()
    greeting = asyncio.create_task(_greeting(greeted, 60, "here"))
    await asyncio.sleep(0)
    greeted.set()
    greeting.cancel()
    await asyncio.wait([greeting], timeout=5)
    assert greeting.cancelled()


async def test_a_connection_that_opens_in_the_moment_of_the_cancel_is_closed() -> None:
    left, right = memory_pair()
    opened: asyncio.Future[MemoryTransport] = asyncio.get_running_loop().create_future()

    async def open_transport() -> MemoryTransport:
        return await opened

    running = asyncio.create_task(
        run_connection(
            open_transport,
            receive=lambda frame: None,
            outbox=Outbox(),
            closing=asyncio.Event(),
            greeted=asyncio.Event(),
            greeting_timeout_s=60,
            where="here",
        )
    )
    await asyncio.sleep(0.01)
    opened.set_result(left)
    for _ in range(2):  # it has opened, and nobody has looked yet
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(right.receive(), 5)


async def test_waiting_to_reconnect_can_be_cancelled_and_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    pausing = asyncio.create_task(pause(asyncio.sleep(60), asyncio.Event()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == len(before) + 3
    pausing.cancel()
    await asyncio.wait([pausing])
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_tool_that_will_not_stop_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "LONGEST_END_S", 0.05)
    begun, over = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    server = ScriptedServer()
    async with server.running():
        session = await open_session(HERE, settings=session_settings(), open_transport=server.open)
        task = session._owner.chore(stubborn())
        await begun.wait()
        async with asyncio.timeout(5):
            await session.aclose()
        assert session.state == "closed"
        over.set()
        await asyncio.wait([task], timeout=5)


async def test_who_reads_turns_too_slowly_is_told_what_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_stream, "TURN_QUEUE", 2)
    notices: list[str] = []

    class Watcher:
        def on_notice(self, level: str, message: str, what_now: str = "") -> None:
            notices.append(message)

    async with talking(ScriptedServer()) as session:
        session.observe(Watcher())
        turns = session.turns()
        first = asyncio.create_task(anext(turns))
        await asyncio.sleep(0)
        await session.ask("one")
        await first
        for words in ("two", "three", "four", "five"):
            await session.ask(words)
        assert len([notice for notice in notices if "session.turns()" in notice]) == 1
        assert (await anext(turns)).user_transcript == "four"


async def test_a_player_that_breaks_is_told_and_the_session_goes_on() -> None:
    notices: list[str] = []

    class Broken(HandPlayer):
        async def flush(self) -> dict[tuple[str, int], int]:
            raise ValueError("no device")

        def on_notice(self, level: str, message: str, what_now: str = "") -> None:
            notices.append(message)

    server = ScriptedServer(Reply(text="one two", stop_after_words=1))
    async with talking(server) as session:
        session.attach_player(player := Broken())
        session.observe(player)
        asking = asyncio.create_task(session.ask("count"))
        await until(lambda: player.written)
        await server.speech_started(0)
        await asking
        await until(lambda: any("no device" in notice for notice in notices))
        assert session.state == "connected"
