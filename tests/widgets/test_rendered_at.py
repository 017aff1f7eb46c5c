"""Moments of the browser, on the session's clock."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.widgets import messages
from realtime_nb.widgets.link_client import LinkClient
from realtime_nb.widgets.playback_feed import PlaybackFeed

pytestmark = pytest.mark.anyio


class Report:
    def __init__(self) -> None:
        self.told: list[tuple[int, RenderedAt | None]] = []

    def rendered(self, key: Any, n_samples: int, at: RenderedAt | None = None) -> None:
        self.told.append((n_samples, at))


async def test_a_report_says_when_with_its_error() -> None:
    client = LinkClient("view", None, "direct", session_offset_ms=lambda: -1000.0)  # type: ignore[arg-type]
    report = Report()
    feed = PlaybackFeed("assistant", report)
    feed.set_client(client)
    feed.begin(("item", 0))
    feed.write(("item", 0), bytes(9600))

    def rendered(samples: int, time_client_ms: float) -> None:
        stream_id = next(iter(feed._streams.values())).stream_id
        message = messages.PlaybackRendered(
            stream_id=stream_id,
            rendered_samples=samples,
            underruns=0,
            time_client_ms=time_client_ms,
            output_latency_ms=12.0,
        )
        feed.on_rendered(client, message)

    rendered(100, 50.0)
    ping = client.round_trips.ping(5000.0)
    client.round_trips.pong(ping, 102.0, 5004.0)  # the browser's 102 is our 5002, give or take 2
    rendered(2400, 150.0)
    assert report.told[0] == (100, None)
    wanted = RenderedAt(time_ms=4050.0, error_ms=2.0, output_latency_ms=12.0, clock_offset_ms=3900.0)
    assert report.told[1] == (2400, wanted)
    feed.close()
