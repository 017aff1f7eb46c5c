from __future__ import annotations

import asyncio

import pytest

from realtime_nb.server.outbox import Outbox, SlowConsumer

pytestmark = pytest.mark.anyio


async def test_frames_come_out_in_order_and_all_at_once() -> None:
    outbox = Outbox(room_bytes=100, limit_bytes=1000)
    outbox.put(["a", "b"])
    outbox.put(["c"])
    assert await outbox.take() == ["a", "b", "c"]


async def test_after_the_last_words_nothing_is_taken() -> None:
    outbox = Outbox(room_bytes=100, limit_bytes=1000)
    outbox.put(["last words"])
    outbox.close()
    outbox.put(["x" * 2000])
    assert await outbox.take() == ["last words"]
    outbox.sent("last words")
    await outbox.drained()


async def test_a_reply_waits_while_too_much_is_unsent() -> None:
    outbox = Outbox(room_bytes=10, limit_bytes=1000)
    outbox.put(["x" * 20])
    waiting = asyncio.create_task(outbox.room())
    (frame,) = await outbox.take()
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.sent(frame)
    await waiting


async def test_drained_means_on_the_wire_and_not_only_taken() -> None:
    outbox = Outbox(room_bytes=10, limit_bytes=1000)
    await outbox.drained()
    outbox.put(["x"])
    waiting = asyncio.create_task(outbox.drained())
    (frame,) = await outbox.take()
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.sent(frame)
    await waiting


async def test_beyond_the_limit_the_consumer_is_too_slow() -> None:
    outbox = Outbox(room_bytes=10, limit_bytes=30)
    outbox.put(["x" * 30])
    with pytest.raises(SlowConsumer):
        outbox.put(["y"])
