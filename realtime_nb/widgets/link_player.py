"""The browser as a session's loudspeaker."""

from __future__ import annotations

import asyncio
from typing import Any

from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.widgets.loops import call_on, hand_to
from realtime_nb.widgets.playback_feed import PlaybackFeed, PlaybackReport, StreamKey

__all__ = ["LinkPlayer", "LoopReport"]


class LinkPlayer:
    """Implements the session's `Player` on a `PlaybackFeed`; callable on the session's loop whichever that is.

    Args:
        feed: the assistant's lane.
        loop: the runtime loop, where the feed lives.
    """

    def __init__(self, feed: PlaybackFeed, loop: asyncio.AbstractEventLoop) -> None:
        self._feed = feed
        self._loop = loop

    def begin(self, item_id: str, content_index: int) -> None:
        """Audio of this part will follow."""
        hand_to(self._loop, self._feed.begin, (item_id, content_index))

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        """Queue PCM16 24 kHz audio; never blocks."""
        hand_to(self._loop, self._feed.write, (item_id, content_index), bytes(pcm16))

    def end(self, item_id: str, content_index: int) -> None:
        """No more audio will follow for this part."""
        hand_to(self._loop, self._feed.end, (item_id, content_index))

    async def flush(self) -> dict[StreamKey, int]:
        """Stop now; samples rendered per unfinished part, at most 300 ms later."""
        return await call_on(self._loop, self._feed.flush())


class LoopReport:
    """Carries rendered counts from the runtime loop to the session's loop.

    Args:
        report: the session's `playback`.
        loop: the session's loop.
    """

    def __init__(self, report: PlaybackReport, loop: asyncio.AbstractEventLoop) -> None:
        self._report = report
        self._loop = loop

    def rendered(self, key: Any, n_samples: int, at: RenderedAt | None = None) -> None:
        """Pass on."""
        hand_to(self._loop, self._report.rendered, key, n_samples, at)
