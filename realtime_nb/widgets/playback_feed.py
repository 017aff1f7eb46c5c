"""Feeds audio to the browser's playback worklet and keeps what the ear really got, per stream."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Literal, Protocol

from realtime_nb.audio.format import PCM16_BYTES_PER_MS, WIRE_SAMPLE_RATE_HZ
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.widgets import messages
from realtime_nb.widgets.link_client import LinkClient

__all__ = ["PlaybackFeed", "PlaybackReport", "StreamKey"]

StreamKey = tuple[str, int]
"""(item_id, content_index)."""

MAX_HALTED = 16
MAX_HELD_BYTES = 180_000 * PCM16_BYTES_PER_MS
AHEAD_SAMPLES = 30 * WIRE_SAMPLE_RATE_HZ
CHUNK_BYTES = 32_000
FLUSH_TIMEOUT_S = 0.3
NO_VIEW_GRACE_S = 5.0

_stream_ids = itertools.count(1)
_flush_ids = itertools.count(1)


class PlaybackReport(Protocol):
    """Who wants to know what was heard: `session.playback`. Called on the runtime loop."""

    def rendered(self, key: Any, n_samples: int, at: RenderedAt | None = None) -> object:
        """`n_samples` of the stream (24 kHz, cumulative) were rendered, the last of them `at` this moment."""


class _Stream:
    """One (item, part) on its way to the ear. Counts are samples at 24 kHz from the start of the stream."""

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.stream_id = 0
        self.base = 0
        self.held = bytearray()
        self.held_from = 0
        self.sent = 0
        self.rendered = 0
        self.begun = self.ended = self.end_sent = self.halted = False

    @property
    def received(self) -> int:
        return self.held_from + len(self.held) // 2

    def begin_on_view(self) -> None:
        self.stream_id = next(_stream_ids)
        self.base = self.sent = self.rendered
        self.begun, self.end_sent = True, False

    def advance(self, rendered_samples: int) -> bool:
        """Take a count of the current view; counts never go back nor past what was sent."""
        rendered = max(self.rendered, min(self.base + rendered_samples, self.sent))
        moved, self.rendered = rendered > self.rendered, rendered
        if self.halted:
            return moved
        surplus = self.rendered - self.held_from
        del self.held[: surplus * 2]
        self.held_from += surplus
        return moved

    def halt(self) -> None:
        self.halted = True
        self.held_from, self.held = self.received, bytearray()


class PlaybackFeed:
    """One lane of playback on the active view. Lives on the runtime loop.

    Audio is held until it was rendered (at most three minutes), so that another view can take over where the first one
    went silent; at most 30 s are ahead of the ear. Without any view for 5 s what is held is given up as unheard.

    Args:
        lane: which side of the conversation it is.
        report: gets rendered counts; may be None.
        on_overflow: called once per stream when more than three minutes wait: the rest of it is lost.
        on_playing: called with True when something starts to play and False when all is through.
        on_given_up: called when there was no view for too long and what was held counts as unheard.
    """

    def __init__(
        self,
        lane: Literal["assistant", "user"],
        report: PlaybackReport | None = None,
        *,
        on_overflow: Callable[[StreamKey], None] = lambda key: None,
        on_playing: Callable[[bool], None] = lambda playing: None,
        on_given_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.lane: Literal["assistant", "user"] = lane
        self.report = report
        self.underruns = 0
        self._on_overflow = on_overflow
        self._on_playing = on_playing
        self._on_given_up = on_given_up
        self._client: LinkClient | None = None
        self._streams: dict[StreamKey, _Stream] = {}
        self._overflowed: set[StreamKey] = set()
        self._flushes: dict[int, asyncio.Future[dict[int, int]]] = {}
        self._grace: asyncio.TimerHandle | None = None
        self._resync: asyncio.TimerHandle | None = None
        self._resync_id = 0
        self._last_view = ""
        self._was_playing = False

    @property
    def playing(self) -> bool:
        """Whether something waits to be heard or is being heard."""
        return any(not stream.halted for stream in self._streams.values())

    @property
    def room_bytes(self) -> int:
        """How much more audio can be held."""
        return MAX_HELD_BYTES - sum(len(stream.held) for stream in self._streams.values())

    @property
    def stopped(self) -> bool:
        """Whether a view stopped something of which the session has not been told yet."""
        return any(stream.halted for stream in self._streams.values())

    def begin(self, key: StreamKey) -> None:
        """Announce a stream; a second time does nothing."""
        if key not in self._streams:
            self._streams[key] = _Stream(key)
            self._notice_playing()
        if self._client is None:
            self._await_view()

    def write(self, key: StreamKey, pcm16: bytes) -> None:
        """Take PCM16 24 kHz audio of an announced stream; ignored once the stream was stopped or has overflowed."""
        stream = self._streams.get(key)
        if stream is None or stream.halted or stream.ended or key in self._overflowed:
            return
        taken = pcm16[: self.room_bytes]
        stream.held += taken
        if len(taken) < len(pcm16):
            self._overflowed.add(key)  # what comes later would be heard in the place of what is missing
            self._on_overflow(key)
        self._pump()

    def end(self, key: StreamKey) -> None:
        """No more audio will come for the stream."""
        stream = self._streams.get(key)
        if stream is not None:
            stream.ended = True
            if stream.halted:
                return
            self._pump()

    def set_client(self, client: LinkClient | None) -> None:
        """Play on another view, from where the last one stopped.

        A view that comes back after its link broke went on playing meanwhile: it is asked for its counts first.
        """
        former, self._client = self._client, client
        if former is client:
            return
        if former is not None:
            self._last_view = former.client_id
            former.outbox.drop_lane(self.lane)
            former.send(messages.PlaybackFlush(flush_id=next(_flush_ids), lane=self.lane), first=True)
        for waiting in self._flushes.values():
            if not waiting.done():
                waiting.set_result({})
        self._stop_resync()
        if client is None:
            self._await_view()
        elif client.client_id == self._last_view and any(stream.begun for stream in self._streams.values()):
            self._cancel_grace()
            self._resync_id = next(_flush_ids)
            self._resync = asyncio.get_running_loop().call_later(FLUSH_TIMEOUT_S, self._start_over)
            client.send(messages.PlaybackFlush(flush_id=self._resync_id, lane=self.lane), first=True)
        else:
            self._cancel_grace()
            self._start_over()

    def on_rendered(self, client: LinkClient, message: messages.PlaybackRendered) -> None:
        """Take a view's count."""
        stream = self._find(message.stream_id)
        if stream is None or client is not self._client:
            return
        self.underruns = max(self.underruns, message.underruns)
        through = message.drained and stream.end_sent
        moved = stream.advance(stream.sent - stream.base if through else message.rendered_samples)
        if moved and self.report is not None:
            at = client.rendered_at(message.time_client_ms, message.output_latency_ms)
            self.report.rendered(stream.key, stream.rendered, at)
        if through:
            self._streams.pop(stream.key, None)
            self._overflowed.discard(stream.key)
            self._notice_playing()
        self._pump()

    def on_flushed(self, client: LinkClient, message: messages.PlaybackFlushed) -> None:
        """Take the answer to a flush, or the news that the user stopped playback in the view (`flush_id` 0)."""
        if client is not self._client:
            return
        waiting = self._flushes.get(message.flush_id)
        if self._resync is not None and message.flush_id == self._resync_id:
            self._take_counts(message.rendered)
            self._start_over()
        elif waiting is not None and not waiting.done():
            waiting.set_result(message.rendered)
        elif message.flush_id == 0:
            stopped = [stream for stream_id in message.rendered if (stream := self._find(stream_id)) is not None]
            if stopped:
                self._take_counts(message.rendered)
                for stream in stopped:
                    stream.halt()
                self._forget_old_halted()
                self._notice_playing()
                self._pump()

    async def flush(self) -> dict[StreamKey, int]:
        """Stop the lane at once and return what was rendered of each unfinished stream.

        The view answers within 300 ms or its last report counts. Cancellation-safe: the lane is stopped in any case.
        """
        client = self._client
        if client is not None and self.playing:
            client.outbox.drop_lane(self.lane)
            flush_id = next(_flush_ids)
            waiting = self._flushes[flush_id] = asyncio.get_running_loop().create_future()
            client.send(messages.PlaybackFlush(flush_id=flush_id, lane=self.lane), first=True)
            self._halt_all()
            try:
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    self._take_counts(await waiting)
            except TimeoutError:
                pass
            finally:
                del self._flushes[flush_id]
        self._halt_all()
        heard = {stream.key: stream.rendered for stream in self._streams.values() if stream.halted}
        self._streams = {key: stream for key, stream in self._streams.items() if not stream.halted}
        self._overflowed.clear()
        self._notice_playing()
        return heard

    def close(self) -> None:
        """Give up everything; the view is told to stop."""
        if self._client is not None and self.playing:
            self._client.outbox.drop_lane(self.lane)
            self._client.send(messages.PlaybackFlush(flush_id=next(_flush_ids), lane=self.lane), first=True)
        self._cancel_grace()
        self._stop_resync()
        self._streams.clear()
        self._notice_playing()

    def _pump(self) -> None:
        client = self._client
        if client is None or self._resync is not None:
            return
        for stream in self._streams.values():
            if stream.halted:
                continue
            if not stream.begun:
                stream.begin_on_view()
                client.send(self._begin_message(stream), lane=self.lane)
            self._send_audio(client, stream)
            if stream.sent < stream.received or not stream.ended:
                return
            if not stream.end_sent:
                stream.end_sent = True
                client.outbox.end_stream(stream.stream_id)
                client.send(messages.PlaybackEnd(stream_id=stream.stream_id), lane=self.lane)

    def _send_audio(self, client: LinkClient, stream: _Stream) -> None:
        limit = min(stream.received, stream.rendered + AHEAD_SAMPLES)
        while stream.sent < limit:
            start = (stream.sent - stream.held_from) * 2
            chunk = bytes(stream.held[start : start + min(CHUNK_BYTES, (limit - stream.sent) * 2)])
            if not client.outbox.put_audio(stream.stream_id, self.lane, chunk):
                return
            stream.sent += len(chunk) // 2

    def _begin_message(self, stream: _Stream) -> messages.PlaybackBegin:
        item_id, content_index = stream.key
        return messages.PlaybackBegin(
            stream_id=stream.stream_id, lane=self.lane, item_id=item_id, content_index=content_index
        )

    def _find(self, stream_id: int) -> _Stream | None:
        return next((s for s in self._streams.values() if s.begun and s.stream_id == stream_id), None)

    def _take_counts(self, rendered: dict[int, int]) -> None:
        for stream_id, samples in rendered.items():
            stream = self._find(stream_id)
            if stream is not None and stream.advance(samples) and self.report is not None:
                self.report.rendered(stream.key, stream.rendered)

    def _halt_all(self) -> None:
        for stream in self._streams.values():
            stream.halt()
        self._notice_playing()

    def _start_over(self) -> None:
        self._stop_resync()
        for stream in self._streams.values():
            stream.begun = False
        self._pump()

    def _stop_resync(self) -> None:
        if self._resync is not None:
            self._resync.cancel()
            self._resync = None

    def _forget_old_halted(self) -> None:
        halted = [stream.key for stream in self._streams.values() if stream.halted]
        for key in halted[:-MAX_HALTED]:
            del self._streams[key]

    def _await_view(self) -> None:
        if self._grace is None and self._streams:
            self._grace = asyncio.get_running_loop().call_later(NO_VIEW_GRACE_S, self._give_up)

    def _give_up(self) -> None:
        self._grace = None
        if self._client is None and self.playing:
            self._halt_all()
            self._on_given_up()

    def _cancel_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _notice_playing(self) -> None:
        if self.playing != self._was_playing:
            self._was_playing = self.playing
            self._on_playing(self._was_playing)
