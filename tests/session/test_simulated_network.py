from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.session.opening import open_session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.faults import NetworkProfile
from realtime_nb.testing.scripted_server import ScriptedServer
from realtime_nb.testing.virtual_clock import VirtualClockLoop
from tests.session.test_session import HERE


def test_a_session_through_a_network_says_so_and_takes_its_time() -> None:
    loop = VirtualClockLoop()

    async def talk() -> None:
        async with ScriptedServer().running() as server:
            session = await open_session(
                HERE,
                settings=session_settings(),
                open_transport=server.open,
                network=NetworkProfile(name="far away", delay_ms=100),
                sleep=asyncio.sleep,
            )
            try:
                assert "network: far away (simulated)" in session.endpoint
                assert "(simulated)" in repr(session)
                assert loop.time() >= 0.6 + 0.1 + 0.2, "set-up, the greeting's way, the settings there and back"
            finally:
                await session.aclose()

    with mock.patch("realtime_nb.transport.faults.time", loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(talk())


def test_a_network_that_is_unknown_is_refused_before_anything_is_opened() -> None:
    async def talk() -> None:
        async with ScriptedServer().running() as server:
            with pytest.raises(ConfigurationError, match="transatlantic"):
                await open_session(HERE, settings={}, open_transport=server.open, network="pigeon")
            assert not server.received

    asyncio.run(talk())
