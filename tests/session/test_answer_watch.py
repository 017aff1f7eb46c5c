"""A server that never ends an answer: it is given up in bounded time, with everything that came."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from realtime_nb.errors import ResponseFailed, ServerRejected
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from tests.session.test_session import HERE, HandPlayer


class ForgetfulServer(ScriptedServer):
    """Loses the events of some types on their way, as often as told."""

    def __init__(self, reply: Reply, *lost: str, times: int = 1) -> None:
        super().__init__(reply)
        self.lost = lost
        self.times = times

    async def flush(self) -> None:
        for frame in self.protocol.data_to_send():
            if self.times and msgspec.json.decode(frame)["type"] in self.lost:
                self.times -= 1
            else:
                await self._server_end.send(frame)


class Notices:
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_notice(self, level: str, message: str, what_now: str = "") -> None:
        self.told.append(message)


async def opened(server: ScriptedServer) -> Session:
    return await open_session(HERE, settings=session_settings(), open_transport=server.open, answer_timeout_s=30)


def on_virtual_clock(test: object) -> None:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(test)  # type: ignore[arg-type]


@pytest.mark.parametrize("player", [False, True])
def test_an_answer_whose_end_is_lost_is_given_up_with_what_came(player: bool) -> None:
    async def scenario() -> None:
        server = ForgetfulServer(Reply(text="one two three"), "response.done", "response.output_audio.done", times=2)
        async with server.running():
            session = await opened(server)
            session.observe(notices := Notices())
            loudspeaker = HandPlayer()
            if player:
                session.attach_player(loudspeaker)
            began_s = asyncio.get_running_loop().time()
            turn = await session.ask("count")
            assert asyncio.get_running_loop().time() - began_s == pytest.approx(30, abs=1)
            assert (turn.status, turn.transcript, turn.audio.duration_ms) == ("lost", "one two three", 600)
            assert isinstance(turn.error, ResponseFailed)
            assert "sent nothing for 30 s" in turn.error.message
            assert "3 words, 0.6 s of audio" in turn.error.message
            assert turn.error.message in notices.told
            assert session.history == [turn]
            assert session.state == "connected"
            assert len(loudspeaker.ended) == int(player)
            assert (await session.ask("again")).status == "completed"
            await session.aclose()

    on_virtual_clock(scenario())


def test_a_late_end_changes_nothing() -> None:
    async def scenario() -> None:
        server = ScriptedServer(Reply(text="one two three", stop_after_words=2))
        async with server.running():
            session = await opened(server)
            turn = await session.ask("count")
            assert (turn.status, turn.transcript) == ("lost", "one two")
            server.go_on()
            await asyncio.sleep(1)
            assert session.history == [turn]
            assert turn.status == "lost"
            assert turn.transcript == "one two three"  # nothing that came is thrown away
            assert (await session.ask("again")).status == "completed"
            await session.aclose()

    on_virtual_clock(scenario())


def test_a_request_that_nobody_answers_raises() -> None:
    async def scenario() -> None:
        server = ScriptedServer()
        async with server.running():
            session = await opened(server)
            server.protocol.receive = lambda frame: []  # type: ignore[method-assign]
            with pytest.raises(ResponseFailed, match="has not begun to answer"):
                await session.ask("count")
            assert session.state == "connected"
            await session.aclose()

    on_virtual_clock(scenario())


def test_a_refused_request_raises_at_once_and_the_session_goes_on() -> None:
    async def scenario() -> None:
        server = ScriptedServer()
        async with server.running():
            session = await opened(server)
            began_s = asyncio.get_running_loop().time()
            server.protocol.receive = lambda frame: []  # type: ignore[method-assign]
            asking = asyncio.create_task(session.ask("count"))
            while "response.create" not in server.received:
                await asyncio.sleep(0)
            create = list(session.events)[-1].event
            error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow down."}
            refusal = {"type": "error", "event_id": "e", "error": {**error, "event_id": create["event_id"]}}
            await server.send_raw(msgspec.json.encode(refusal).decode())
            with pytest.raises(ServerRejected, match="Slow down"):
                await asking
            assert asyncio.get_running_loop().time() - began_s < 1
            await session.aclose()

    on_virtual_clock(scenario())


def test_a_slow_answer_is_not_given_up_while_anything_comes() -> None:
    async def scenario() -> None:
        server = ScriptedServer(Reply(text="one two three", stop_after_words=1))
        async with server.running():
            session = await opened(server)
            asking = asyncio.create_task(session.ask("count"))
            for _ in range(10):
                await asyncio.sleep(20)
                await server.send_raw('{"type":"rate_limits.updated","event_id":"e","rate_limits":[]}')
            assert not asking.done()
            server.go_on()
            assert (await asking).status == "completed"
            await asyncio.sleep(100)
            assert [turn.status for turn in session.history] == ["completed"]
            await session.aclose()

    on_virtual_clock(scenario())
