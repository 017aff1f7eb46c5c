"""What waits for a view is bounded, and what is lost is counted."""

from __future__ import annotations

import json

import pytest

from realtime_nb.widgets import messages, outbox
from realtime_nb.widgets.outbox import Outbox, OutboxFull

pytestmark = pytest.mark.anyio
INFO = messages.Notice(level="info", message="m")


def events(count: int, first: int = 0) -> messages.Events:
    rows = [
        messages.EventRow(sequence=first + n, time_ms=0, direction="sent", event_type="t", summary="", payload="{}")
        for n in range(count)
    ]
    return messages.Events(rows=rows)


async def test_order_and_overtaking():
    box = Outbox()
    box.put(INFO)
    assert box.put_audio(1, "assistant", b"\x01\x00")
    box.put(messages.Ping(ping_id=5), first=True)
    assert json.loads(await box.get())["type"] == "ping"
    assert json.loads(await box.get())["type"] == "notice"
    assert isinstance(await box.get(), bytes)
    assert (len(box), box.audio_bytes) == (0, 0)


async def test_surplus_events_are_dropped_and_told_with_the_next(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_EVENT_ROWS", 10)
    box = Outbox()
    box.put(events(8))
    box.put(events(5))
    box.put(events(4))
    assert box.dropped_event_rows == 9
    await box.get()
    box.put(events(2, first=17))
    told = json.loads(await box.get())
    assert (len(told["rows"]), told["dropped"], box.dropped_event_rows) == (2, 9, 0)


async def test_a_view_that_does_not_read_is_given_up(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 3)
    box = Outbox()
    for _ in range(3):
        box.put(INFO)
    with pytest.raises(OutboxFull):
        box.put(INFO)
    box.put(messages.Ping(ping_id=1), first=True)
    assert len(box) == 4


async def test_audio_is_bounded_and_does_not_use_up_the_messages(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_AUDIO_BYTES", 100)
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 3)
    box = Outbox()
    assert [box.put_audio(1, "assistant", b"x" * 20) for _ in range(6)] == [True] * 5 + [False]
    for _ in range(3):
        box.put(INFO)


async def test_a_lane_can_be_taken_back():
    box = Outbox()
    begin = messages.PlaybackBegin(stream_id=1, lane="assistant", item_id="i", content_index=0)
    box.put(begin, lane="assistant")
    box.put_audio(1, "assistant", b"xx")
    box.put_audio(2, "user", b"yy")
    box.put(INFO)
    box.drop_lane("assistant")
    assert box.audio_bytes == 2
    assert (await box.get())[-2:] == b"yy"
    assert json.loads(await box.get())["type"] == "notice"


async def test_streams_are_numbered_each_from_zero():
    box = Outbox()
    for stream_id in (1, 1, 2):
        box.put_audio(stream_id, "assistant", b"xx")
    headers = [messages.BINARY_HEADER.unpack_from(await box.get()) for _ in range(3)]
    assert [(header[3], header[4]) for header in headers] == [(1, 0), (1, 1), (2, 0)]
