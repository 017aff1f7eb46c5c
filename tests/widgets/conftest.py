"""Widgets outside a kernel: their comm is caught, their browser is fake, their loop is the real runtime."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from realtime_nb.runtime import THREAD_NAME, Runtime, runtime
from tests.widgets.fake_browser import PAGE, STEP_TIMEOUT_S, FakeBrowser
from tests.widgets.fake_session import FakeSession

SCENARIO_TIMEOUT_S = 40.0


@pytest.fixture
def room() -> Iterator[Runtime]:
    """The process's runtime, stopped after the test; nothing of the test may be left on it."""
    room = runtime()
    yield room
    room.stop()
    assert THREAD_NAME not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def session(room: Runtime) -> FakeSession:
    async def make() -> FakeSession:
        return FakeSession(asyncio.get_running_loop())

    return room.run(make(), 10)


@pytest.fixture
def play(room: Runtime) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a scenario on the runtime loop, where browser and desk live."""
    return lambda scenario: room.run(scenario, SCENARIO_TIMEOUT_S)


class Views:
    """Browser views of one widget, asked for through its comm as a page does."""

    def __init__(self, widget: Any) -> None:
        self.widget = widget
        self.comm_out: list[tuple[dict[str, Any], list[bytes] | None]] = []
        self.open_views: list[FakeBrowser] = []
        self.on_comm: list[Callable[[dict[str, Any], list[bytes] | None], None]] = []
        widget.comm.send = self._catch

    async def offer(self, client_id: str = "asking") -> dict[str, Any]:
        before = len(self.comm_out)
        content = {"type": "link_request", "client_id": client_id, "page_origin": PAGE, "base_url": "/"}
        self.widget._handle_custom_msg(content, [])

        def answer() -> dict[str, Any] | None:
            return next((c for c, _ in self.comm_out[before:] if c["type"] == "link_offer"), None)

        await wait_until(lambda: answer() is not None)
        found = answer()
        assert found is not None
        return found

    async def open(self, **options: Any) -> FakeBrowser:
        view = FakeBrowser(await self.offer(), **options)
        await view.open()
        await view.wait("ready")
        self.open_views.append(view)
        return view

    async def close(self) -> None:
        for view in self.open_views:
            await view.close()

    def _catch(self, data: dict[str, Any], buffers: list[bytes] | None = None, **_: Any) -> None:
        if data.get("method") == "custom":
            self.comm_out.append((data["content"], buffers))
            for told in self.on_comm:
                told(data["content"], buffers)


@pytest.fixture
def views_of() -> Callable[[Any], Views]:
    return Views


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop run until a state is reached."""
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)
