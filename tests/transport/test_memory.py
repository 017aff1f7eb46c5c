from __future__ import annotations

import pytest

from realtime_nb.errors import ConnectionLost
from realtime_nb.transport.memory import memory_pair

pytestmark = pytest.mark.anyio


async def test_frames_sent_before_the_cut_still_arrive() -> None:
    left, right = memory_pair()
    await left.send("one")
    left.cut(1011, "gone")
    assert await right.receive() == "one"
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone"):
            await right.receive()
    with pytest.raises(ConnectionLost):
        await right.send("back")


async def test_closing_ends_both_sides_once() -> None:
    left, right = memory_pair()
    await left.aclose()
    await left.aclose()
    with pytest.raises(ConnectionLost) as lost:
        await right.receive()
    assert lost.value.code == 1000
