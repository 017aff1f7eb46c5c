from __future__ import annotations

import asyncio

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.server.embedded import embedded_server

pytestmark = pytest.mark.anyio


async def test_all_who_wait_for_engines_that_cannot_start_hear_why_and_may_ask_again() -> None:
    for _ in range(2):
        answers = await asyncio.gather(*(embedded_server("no such engine") for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConfigurationError] * 3
