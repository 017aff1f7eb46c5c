"""Tools end to end on the real protocol machines: called once, answered once, never in the way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from realtime_nb.errors import RealtimeError
from realtime_nb.protocol.items import FunctionCallOutput, item_text
from realtime_nb.protocol.server_response import ServerResponse
from realtime_nb.session.session import Session
from realtime_nb.session.tool_runner import ToolResult, as_output
from realtime_nb.session.tools import Tool
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import talking, until

pytestmark = pytest.mark.anyio

Tool(lambda: None, name="first")  # pydantic reads its plugins from disk once, which no loop may wait for


def calling(name: str = "weather", arguments: str = '{"city":"Paris"}', *, times: int = 1) -> ScriptedServer:
    """A server that calls a function, then speaks of its output."""

    def reply(response: ServerResponse) -> Reply:
        outputs = [item for item in server.protocol.conversation if isinstance(item, FunctionCallOutput)]
        if response.settings.in_conversation and len(outputs) < times:
            return Reply(tool_call=(name, arguments))
        said = outputs[-1].output if outputs else response.settings.instructions
        return Reply(text=f"it said {said}")

    server = ScriptedServer(reply)
    return server


async def offered(session: Session) -> None:
    await until(lambda: session.config.tools)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_call_is_run_once_and_spoken_of(kind: str) -> None:
    calls: list[tuple[str, str]] = []
    server = calling()
    async with talking(server) as session:
        if kind == "sync":

            @session.tool
            def weather(city: str) -> dict[str, Any]:
                """Look up the weather."""
                calls.append((city, threading.current_thread().name))
                return {"city": city, "celsius": 21}
        else:

            @session.tool
            async def weather(city: str) -> dict[str, Any]:
                """Look up the weather."""
                calls.append((city, "loop"))
                return {"city": city, "celsius": 21}

        await offered(session)
        turn = await session.ask("how is the weather?")
        assert [city for city, _ in calls] == ["Paris"]
        assert turn.transcript == 'it said {"city":"Paris","celsius":21}'
        assert turn.user_transcript == "how is the weather?"
        (result,) = turn.tool_results
        assert (result.status, result.name, result.output) == ("completed", "weather", '{"city":"Paris","celsius":21}')
        assert [call.name for call in turn.tool_calls] == ["weather"]
    assert server.received.count("response.create") == 2


async def test_a_tool_that_raises_is_reported_to_the_model_and_to_the_user() -> None:
    notices: list[str] = []

    class Watcher:
        def on_notice(self, level: str, message: str, what_now: str = "") -> None:
            notices.append(message)

    async with talking(calling()) as session:
        session.observe(Watcher())

        @session.tool
        def weather(city: str) -> None:
            raise ValueError("no such city")

        await offered(session)
        turn = await session.ask("weather?")
    assert turn.tool_results[0].status == "failed"
    assert "ValueError: no such city" in turn.transcript
    assert any("no such city" in notice for notice in notices)


async def test_a_tool_that_takes_too_long_times_out() -> None:
    async with talking(calling()) as session:

        @session.tool(timeout_s=0.05)
        async def weather(city: str) -> None:
            await asyncio.sleep(60)

        await offered(session)
        turn = await session.ask("weather?")
    assert turn.tool_results[0].status == "timed_out"
    assert "did not answer within" in turn.transcript


async def test_arguments_that_do_not_fit_never_reach_the_function() -> None:
    async with talking(calling(arguments='{"town":3}')) as session:

        @session.tool
        def weather(city: str) -> None:
            raise AssertionError

        await offered(session)
        turn = await session.ask("weather?")
    assert turn.tool_results[0].error.startswith("The arguments do not fit")


@pytest.mark.parametrize("approved", [True, False])
async def test_a_person_decides(approved: bool) -> None:
    waiting: list[str] = []

    class Person:
        def on_tool_approval(self, request: Any) -> None:
            waiting.append(request.call_id)

    async with talking(calling()) as session:
        session.observe(Person())
        session.tool(lambda city: "sunny", name="weather", approval="always")
        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await until(lambda: waiting)
        assert await session.approve(waiting[0], approved=approved)
        turn = await asking
        assert await session.approve(waiting[0]) is False
    assert turn.tool_results[0].status == ("completed" if approved else "declined")


async def test_a_cancelled_call_is_told_to_the_model() -> None:
    started = asyncio.Event()
    async with talking(calling()) as session:

        @session.tool
        async def weather(city: str) -> None:
            started.set()
            await asyncio.sleep(60)

        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await started.wait()
        assert await session.cancel_tool() == 1
        turn = await asking
    assert turn.tool_results[0].status == "cancelled"
    assert "cancelled" in turn.transcript


async def test_the_same_call_seen_twice_runs_once() -> None:
    calls: list[str] = []
    async with talking(calling()) as session:
        session.tool(lambda city: calls.append(city) or "ok", name="weather")
        await offered(session)
        await session.ask("weather?")
        frame = next(e.frame for e in session.events if e.event_type == "response.output_item.done")
        session._owner._receive(frame)
        await session.ask("and now?")
    assert calls == ["Paris"]


async def test_several_calls_get_one_response() -> None:
    server = ScriptedServer()
    calls: list[str] = []

    def reply(response: ServerResponse) -> Reply:
        outputs = [item for item in server.protocol.conversation if isinstance(item, FunctionCallOutput)]
        if not outputs and response.settings.in_conversation:
            response.function_call("weather", '{"city":"Rome"}')
            return Reply(tool_call=("weather", '{"city":"Oslo"}'))
        return Reply(text=f"{len(outputs)} cities")

    server._reply = reply
    async with talking(server) as session:
        session.tool(lambda city: calls.append(city) or city, name="weather")
        await offered(session)
        turn = await session.ask("both?")
    assert sorted(calls) == ["Oslo", "Rome"]
    assert turn.transcript == "2 cities"
    assert server.received.count("response.create") == 2


async def test_a_slow_call_is_bridged_by_its_filler() -> None:
    go = asyncio.Event()
    server = calling()
    async with talking(server) as session:

        @session.tool(filler="One moment please.", filler_after_s=0.01)
        async def weather(city: str) -> str:
            await go.wait()
            return "sunny"

        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await until(lambda: any("One moment" in turn.transcript for turn in session.history))
        go.set()
        turn = await asking
    assert turn.transcript == "it said sunny"


async def test_who_asks_while_a_call_runs_gets_an_answer_of_their_own() -> None:
    arrived = asyncio.Event()

    def reply(response: ServerResponse) -> Reply:
        words = [item_text(item) for item in server.protocol.conversation]
        return Reply(tool_call=("weather", "{}")) if words[-1] == "weather?" else Reply(text=f"re {words[-1]}")

    server = ScriptedServer(reply)
    async with talking(server) as session:

        @session.tool
        async def weather() -> str:
            await arrived.wait()
            return "sun"

        await offered(session)
        slow = asyncio.create_task(session.ask("weather?"))
        await until(lambda: session.tool_calls)
        quick = await session.ask("and you?")
        assert (quick.transcript, quick.user_transcript, quick.tool_results) == ("re and you?", "and you?", [])
        arrived.set()
        turn = await slow
        assert (turn.transcript, turn.user_transcript) == ("re sun", "weather?")
        assert [result.output for result in turn.tool_results] == ["sun"]


async def test_functions_that_are_not_ours_are_left_to_the_caller() -> None:
    server = calling()
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    async with talking(server, tools=[tool]) as session:
        turn = await session.ask("weather?")
        assert [call.name for call in turn.tool_calls] == ["weather"]
        assert turn.tool_results == []
    assert server.received.count("response.create") == 1


async def test_a_bad_schema_for_the_server_is_a_notice_and_the_session_goes_on() -> None:
    async with talking(ScriptedServer()) as session:
        with pytest.raises(RealtimeError):
            session.tool(lambda *cities: None, name="weather")
        assert (await session.ask("hello")).status == "completed"


def test_outputs_are_strings_json_or_at_worst_their_repr() -> None:
    class Thing:
        def __repr__(self) -> str:
            return "<thing>"

    class Struct(msgspec.Struct):
        a: int

    assert as_output("plain") == "plain"
    assert as_output({"a": Struct(1), "b": Thing()}) == '{"a":{"a":1},"b":"<thing>"}'
    assert len(as_output("x" * 300_000)) < 101_000


class CallsSeen:
    def __init__(self) -> None:
        self.calls: list[ToolResult] = []

    def on_tool_call(self, call: ToolResult) -> None:
        self.calls.append(call)

    @property
    def statuses(self) -> list[str]:
        return [call.status for call in self.calls]


async def test_who_watches_sees_a_call_begin_wait_run_and_end() -> None:
    async with talking(calling()) as session:
        session.observe(seen := CallsSeen())
        session.tool(lambda city: f"sunny in {city}", name="weather", approval="always")
        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await until(lambda: "waiting_for_approval" in seen.statuses)
        await session.approve(seen.calls[-1].call_id)
        await asking
        assert seen.statuses == ["running", "waiting_for_approval", "running", "completed"]
        ended = seen.calls[-1]
        assert (ended.output, ended.error) == ("sunny in Paris", "")
        assert ended.duration_ms is not None
        assert 0 <= ended.duration_ms <= ended.ended_ms - ended.started_ms - ended.waited_ms + 1e-6
        assert ended.item_id in [line.item_id for line in session.transcript if line.role == "tool"]
        assert [call.status for call in session.tool_calls] == ["completed"]


async def test_a_call_that_nobody_approves_is_not_run_and_the_model_is_told() -> None:
    async with talking(calling()) as session:
        session.tool(lambda city: 1 / 0, name="weather", approval="always", approval_timeout_s=0.02)
        await offered(session)
        turn = await session.ask("weather?")
    assert [result.status for result in turn.tool_results] == ["timed_out"]
    assert "Nobody approved this call" in turn.transcript


async def test_a_call_that_waits_is_over_when_the_session_is() -> None:
    async with talking(calling()) as session:
        session.observe(seen := CallsSeen())
        session.tool(lambda city: city, name="weather", approval="always")
        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await until(lambda: "waiting_for_approval" in seen.statuses)
    with pytest.raises(RealtimeError):
        await asking
    assert seen.statuses[-1] == "cancelled"
    assert "waiting_for_approval" not in [call.status for call in session.tool_calls]
