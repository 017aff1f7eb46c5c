"""Answers find who waits for them."""

from __future__ import annotations

import asyncio

import pytest

from realtime_nb.session.requests import Requests

pytestmark = pytest.mark.anyio


async def test_two_answers_in_one_step_answer_two_who_asked_the_same() -> None:
    requests = Requests()
    asked = [asyncio.create_task(requests.wait(f"event_{n}", lambda event: event in "ab", timeout_s=5)) for n in (1, 2)]
    await asyncio.sleep(0)
    assert requests.take("a")
    assert requests.take("b")
    assert not requests.take("a")
    assert await asyncio.gather(*asked) == ["a", "b"]
