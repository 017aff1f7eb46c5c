"""Every call is answered, however it ends: hooks that raise, results that are no JSON, threads that never return."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from realtime_nb.protocol import server_events as se
from realtime_nb.protocol.items import FunctionCall
from realtime_nb.session import tool_thread
from realtime_nb.session.session import Session
from realtime_nb.session.tool_runner import ToolResult
from realtime_nb.session.turn import Turn
from realtime_nb.testing.scripted_server import Reply, ScriptedServer
from tests.session.test_session import talking, until
from tests.session.test_tool_runner import calling, offered

pytestmark = pytest.mark.anyio


@pytest.fixture
async def never() -> AsyncIterator[threading.Event]:
    """What a blocked function waits for; set at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()
    await until(lambda: tool_thread.n_running() == 0)


async def asked(function: Any, server: ScriptedServer | None = None, **options: Any) -> Turn:
    async with talking(server or calling()) as session:
        session.tool(function, name="weather", **options)
        await offered(session)
        async with asyncio.timeout(10):
            return await session.ask("weather?")


async def test_a_hook_that_raises_declines_nothing_silently() -> None:
    def hook(request: Any) -> bool:
        raise LookupError("no such person")

    turn = await asked(lambda city: 1 / 0, approval=hook)
    assert turn.tool_results[0].status == "failed"
    assert "LookupError: no such person" in turn.transcript
    assert "ZeroDivisionError" not in turn.transcript


async def test_a_hook_that_never_decides_is_given_up() -> None:
    async def hook(request: Any) -> bool:
        await asyncio.Event().wait()
        return True

    turn = await asked(lambda city: 1 / 0, approval=hook, approval_timeout_s=0.02)
    assert turn.tool_results[0].status == "timed_out"
    assert "Nobody approved" in turn.transcript


async def test_a_result_that_is_no_json_is_a_failure_and_not_silence() -> None:
    endless: list[object] = []
    endless.append(endless)
    turn = await asked(lambda city: endless)
    assert turn.tool_results[0].status == "failed"
    assert "it said" in turn.transcript


async def test_a_timeout_of_the_functions_own_is_its_error() -> None:
    async def weather(city: str) -> None:
        raise TimeoutError("the database did not answer")

    turn = await asked(weather)
    assert turn.tool_results[0].status == "failed"
    assert "the database did not answer" in turn.transcript


@pytest.mark.parametrize("ends", [SystemExit(3), StopIteration()])
async def test_a_function_that_ends_everything_ends_only_its_call(ends: BaseException) -> None:
    def weather(city: str) -> None:
        raise ends

    turn = await asked(weather)
    assert turn.tool_results[0].status == "failed"


async def test_a_call_cancelled_in_the_moment_it_begins_is_still_answered() -> None:
    class Strict:
        """Cancels every call as soon as it is seen."""

        def __init__(self, session: Session) -> None:
            self.session, self.tasks = session, []

        def on_tool_call(self, call: ToolResult) -> None:
            if call.status == "running" and not self.tasks:
                self.tasks.append(asyncio.create_task(self.session.cancel_tool(call.call_id)))

    async with talking(calling()) as session:
        session.observe(Strict(session))
        session.tool(lambda city: city, name="weather")
        await offered(session)
        async with asyncio.timeout(10):
            turn = await session.ask("weather?")
    assert turn.tool_results[0].status == "cancelled"


async def test_a_call_that_was_cut_short_is_not_run() -> None:
    calls: list[str] = []
    server = ScriptedServer(Reply(text="one two", stop_after_words=1))
    async with talking(server) as session:
        session.tool(lambda: calls.append("run"), name="weather")
        await offered(session)
        asking = asyncio.create_task(session.ask("weather?"))
        await until(lambda: server.protocol.active_default)
        response = server.protocol.active_default
        cut = FunctionCall(id="item_cut", status="incomplete", name="weather", call_id="call_cut", arguments="")
        server.protocol.emit(se.OutputItemDone(response_id=response.id, output_index=1, item=cut))
        response.cancel("turn_detected")
        await server.flush()
        turn = await asking
        server.go_on()
        assert (await session.ask("go on")).status != "failed"
    assert (turn.status, calls, turn.tool_results) == ("cancelled", [], [])
    assert server.received.count("response.create") == 2


async def test_two_who_wait_for_the_same_answer_both_get_it_once() -> None:
    async with talking(calling()) as session:
        session.tool(lambda city: "sunny", name="weather")
        await offered(session)
        async with session._collect() as other, asyncio.timeout(10):
            waiting = asyncio.create_task(session._answered(other))
            turn = await session.ask("weather?")
            assert await waiting is turn
    assert [call.name for call in turn.tool_calls] == ["weather"]
    assert [result.status for result in turn.tool_results] == ["completed"]
    assert turn.user_transcript == "weather?"


async def test_functions_that_never_return_leave_the_loop_its_threads(never: threading.Event) -> None:
    for _ in range(8):  # more than the loop's own pool has on a small machine
        turn = await asked(lambda city: never.wait(), timeout_s=0.02)
        assert turn.tool_results[0].status == "timed_out"
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: "free") == "free"


async def test_too_many_that_never_return_are_refused_and_the_model_is_told(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_thread, "MAX_THREADS", tool_thread.n_running() + 1)
    await asked(lambda city: never.wait(), timeout_s=0.02)
    turn = await asked(lambda city: "sunny")
    assert turn.tool_results[0].status == "failed"
    assert "still run" in turn.transcript


def test_a_program_ends_though_a_tool_never_returns() -> None:
    script = """
        import asyncio, threading
        from realtime_nb.session.tool_runner import called_with
        from realtime_nb.session.tools import Tool

        async def main():
            try:
                async with asyncio.timeout(0.05):
                    await called_with(Tool(lambda: threading.Event().wait(), name="stuck"), {})
            except TimeoutError:
                print("went on")

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "went on"
