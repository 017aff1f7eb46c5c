"""A server that misbehaves on purpose, as its clients see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from realtime_nb.engines import scripted
from realtime_nb.errors import AuthenticationFailed, ConnectionLost, ConnectionRefused
from realtime_nb.server.app import EmbeddedServer
from realtime_nb.session.endpoint import Endpoint
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.testing.faults import Faults
from tests.server.talking import connected as client_of
from tests.server.talking import serving

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def misbehaving(faults: Faults | None) -> AsyncIterator[EmbeddedServer]:
    server = await EmbeddedServer.start(scripted.create(), faults=faults)
    try:
        yield server
    finally:
        await server.aclose()


async def connected(server: EmbeddedServer) -> Session:
    endpoint = Endpoint(choice="url", base_url=server.url, model="m", api_key=server.token)
    return await open_session(endpoint, settings={})


async def test_a_cut_in_the_middle_of_the_audio_happens_once() -> None:
    async with misbehaving(Faults(cut_mid_delta=2)) as server:
        session = await connected(server)
        with pytest.raises(ConnectionLost) as lost:
            await session.ask("one two three four five six")
        assert lost.value.code == 1006
        assert session.history[-1].audio.duration_ms > 0
        await session.aclose()
        again = await connected(server)
        assert (await again.ask("hello")).status == "completed"
        await again.aclose()


async def test_a_client_that_is_not_let_in_uses_no_cut_up() -> None:
    async with misbehaving(Faults(cut_mid_delta=2)) as server:
        stranger = Endpoint(choice="url", base_url=server.url, model="m", api_key="wrong")
        with pytest.raises(AuthenticationFailed):
            await open_session(stranger, settings={})
        session = await connected(server)
        with pytest.raises(ConnectionLost):
            await session.ask("one two three four five six")
        await session.aclose()


async def test_what_is_said_just_before_a_close_arrives() -> None:
    over = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await over.wait()

    faults = Faults(delay_ms=20, direction="received")
    async with serving(sleep=sleep, faults=faults) as server, client_of(server) as client:
        await client.until("session.created")
        over.set()
        assert (await client.until("error"))["error"]["code"] == "session_expired"


async def test_nothing_of_the_faults_is_left_when_the_client_has_gone() -> None:
    async with misbehaving(Faults(delay_ms=1)) as server:
        session = await connected(server)
        await session.aclose()
        async with asyncio.timeout(20):
            while server._connections or any("FaultyTransport" in repr(task) for task in asyncio.all_tasks()):
                await asyncio.sleep(0)


async def test_a_session_expires_with_its_error_and_code() -> None:
    async with misbehaving(Faults(expire_after_frames=3)) as server:
        session = await connected(server)
        with pytest.raises(ConnectionLost) as lost:
            await session.ask("hello")
        assert lost.value.code == 1001
        codes = [e.event["error"]["code"] for e in session.events if e.event_type == "error"]
        assert codes == ["session_expired"]
        await session.aclose()


async def test_the_first_openings_are_refused_by_status() -> None:
    async with misbehaving(Faults(refuse=(429, 503))) as server:
        for status in ("429", "503"):
            with pytest.raises(ConnectionRefused, match=status):
                await connected(server)
        session = await connected(server)
        assert session.state == "connected"
        await session.aclose()


async def test_delay_and_duplicates_are_survived() -> None:
    async with misbehaving(
        Faults(delay_ms=5, jitter_ms=5, duplicate=0.3, malformed=0.2, direction="received")
    ) as server:
        session = await connected(server)
        turn = await session.ask("hello")
        assert turn.status == "completed"
        assert any(e.event_type == "(not an event)" for e in session.events)
        await session.aclose()


@pytest.mark.parametrize("chance", [{"loss": 1.0}, {"reorder": 1.0}])
async def test_a_session_opens_through_any_chance_on_either_side(chance: dict[str, float]) -> None:
    faults = Faults(**chance)  # type: ignore[arg-type]
    for on_server, on_client in ((faults, None), (None, faults)):
        async with misbehaving(on_server) as server:
            endpoint = Endpoint(choice="url", base_url=server.url, model="m", api_key=server.token)
            session = await open_session(endpoint, settings={"instructions": "Be brief."}, faults=on_client)
            assert session.state == "connected"
            await session.aclose()
