"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no deadlines, and slow generation is not judged.
settings.register_profile("explore", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True)
settings.load_profile("explore" if os.environ.get("REALTIME_NB_EXPLORE") else "repeat")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background: Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["clients"]
"""They run in an environment of their own: `make test-clients`."""

LONGEST = ("test_notebooks", "test_conformance", "test_load", "test_study", "test_figures")
"""Modules that begin first, the longest of all in front: of two processes none then waits long for the other's end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.fixture
def anyio_backend() -> str:
    """Only asyncio: the kernel's loop and ours are asyncio loops."""
    return "asyncio"


@pytest.fixture(autouse=True)
def the_loop_never_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail an asynchronous test in which code of ours blocks the loop (file or socket I/O, `time.sleep`, locks).

    Imports may: libraries import parts of themselves on first use, once.
    """
    if request.node.get_closest_marker("anyio") is None:
        yield
        return
    with blockbuster_ctx("realtime_nb") as blockbuster:
        for function in blockbuster.functions.values():
            function.can_block_in("<frozen importlib._bootstrap>", "_find_and_load")
        yield
