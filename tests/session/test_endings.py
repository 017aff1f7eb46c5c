"""What is left when a session has ended: nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from realtime_nb.session.connection import _greeting
from realtime_nb.session.opening import open_session
from realtime_nb.session.session import Session
from realtime_nb.session.settings import session_settings
from realtime_nb.testing.scripted_server import ScriptedServer
from tests.session.test_session import HERE, until

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
