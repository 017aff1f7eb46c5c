from __future__ import annotations

import asyncio
import signal

import pytest
from websockets.exceptions import InvalidStatus

from realtime_nb.engines import scripted
from realtime_nb.engines.scripted import ScriptedDelays
from tests.server.commands import served
from tests.server.talking import PATIENCE_S, Client, connected, serving
from tests.server.test_app import closing

pytestmark = pytest.mark.anyio

UNHURRIED = ScriptedDelays(first_token_ms=300)
ENDLESS = ScriptedDelays(first_token_ms=3_600_000)


async def begin(client: Client) -> None:
    await client.say("hello")
    await client.send("response.create")
    await client.until("response.created")


async def test_a_response_in_progress_gets_its_end_before_the_goodbye() -> None:
    async with serving(scripted.create(delays=UNHURRIED)) as server, connected(server) as client:
        await begin(client)
        await server.drain(PATIENCE_S)
        await server.aclose()
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        await client.until("rate_limits.updated")
        assert await closing(client) == (1001, "The server is shutting down.")


async def test_one_that_does_not_end_is_not_waited_for_forever() -> None:
    async with serving(scripted.create(delays=ENDLESS)) as server, connected(server) as client:
        await begin(client)
        await server.drain(0.01)
        await server.aclose()
        assert (await closing(client))[0] == 1001


async def test_silent_sessions_hold_nothing_up() -> None:
    async with serving() as server, connected(server) as client:
        await client.receive()
        async with asyncio.timeout(PATIENCE_S):
            await server.drain(3600)


async def test_a_cancelled_response_holds_nothing_up() -> None:
    async with serving(scripted.create(delays=ENDLESS)) as server, connected(server) as client:
        await begin(client)
        draining = asyncio.create_task(server.drain(3600))
        await client.send("response.cancel")
        async with asyncio.timeout(PATIENCE_S):
            await draining


async def test_while_it_drains_nobody_new_comes_in() -> None:
    async with serving(scripted.create(delays=ENDLESS)) as server, connected(server) as client:
        await begin(client)
        draining = asyncio.create_task(server.drain(3600))
        await asyncio.sleep(0)
        with pytest.raises(InvalidStatus) as refused:
            async with connected(server):
                pass
        assert refused.value.response.status_code == 503
        await client.send("response.cancel")
        await draining


async def test_a_client_that_goes_while_it_drains_holds_nothing_up() -> None:
    async with serving(scripted.create(delays=ENDLESS)) as server:
        async with connected(server) as client:
            await begin(client)
            draining = asyncio.create_task(server.drain(3600))
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            await draining


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_says_goodbye_at_a_signal(number: signal.Signals) -> None:
    async with served("--engine", "scripted", "--drain-seconds", "5") as server:
        server.token = "any"  # type: ignore[attr-defined]
        async with connected(server) as client:  # type: ignore[arg-type]
            await client.receive()
            stopping = asyncio.create_task(server.stop(number))
            assert await closing(client) == (1001, "The server is shutting down.")
        assert (await stopping)[0] == 0
