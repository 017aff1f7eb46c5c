"""Play a clip in the browser, and know what was really heard of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from realtime_nb.audio import AudioClip
from realtime_nb.runtime import Runtime
from realtime_nb.session.playback_report import RenderedAt
from realtime_nb.widgets import messages
from realtime_nb.widgets.base import Desk, LinkedWidget, bundled
from realtime_nb.widgets.link_client import LinkClient
from realtime_nb.widgets.loops import hand_to
from realtime_nb.widgets.playback_feed import PlaybackFeed
from realtime_nb.widgets.waveform import ClipTraits, RegionLike, static_clip_html

__all__ = ["Player"]


class PlayerDesk(Desk):
    """The Player on the runtime loop."""

    def __init__(self, engine_room: Runtime, send: Callable[..., None], clip: AudioClip) -> None:
        super().__init__(engine_room, send)
        self.heard_samples = 0
        self._pcm16 = clip.resampled(24_000).pcm16_bytes()
        self._feed = PlaybackFeed("assistant", self)
        self._given_bytes = 0
        self._plays = 0
        self._commands |= {"play": self._play, "stop": self._stop}

    def rendered(self, key: Any, n_samples: int, at: RenderedAt | None = None) -> None:
        """Take the feed's count of the current play."""
        if key == self._key:
            self.heard_samples = n_samples
            self._give()

    async def play(self) -> None:
        """From the beginning."""
        await self._feed.flush()
        self._plays += 1
        self.heard_samples = self._given_bytes = 0
        self._feed.begin(self._key)
        self._give()

    def _give(self) -> None:
        """Give the feed as much as it holds; the rest when there is room."""
        begin, self._given_bytes = self._given_bytes, min(len(self._pcm16), self._given_bytes + self._feed.room_bytes)
        self._feed.write(self._key, self._pcm16[begin : self._given_bytes])
        if self._given_bytes == len(self._pcm16):
            self._feed.end(self._key)

    async def stop(self) -> None:
        """Stop; the count of what was heard stays."""
        self.heard_samples = (await self._feed.flush()).get(self._key, self.heard_samples)

    def on_active(self, client: LinkClient | None) -> None:
        """Play there."""
        self._feed.set_client(client)

    def on_message(self, client: LinkClient, message: messages.Message) -> None:
        """Counts; the rest are commands."""
        if isinstance(message, messages.PlaybackRendered):
            self._feed.on_rendered(client, message)
        elif isinstance(message, messages.PlaybackFlushed):
            self._feed.on_flushed(client, message)
        else:
            super().on_message(client, message)

    async def close(self) -> None:
        """Stop and end the link."""
        self._feed.close()
        await super().close()

    @property
    def _key(self) -> tuple[str, int]:
        return (f"play_{self._plays}", 0)

    async def _play(self, client: LinkClient, command: messages.Command) -> None:
        self.link.activate(client.client_id)
        await self.play()

    async def _stop(self, client: LinkClient, command: messages.Command) -> dict[str, Any]:
        await self.stop()
        return {"heard_ms": self.heard_samples / 24}


class Player(LinkedWidget, ClipTraits):
    """Play a clip in the browser.

    Args:
        clip: what to play.
        regions: spans to mark, as for `Waveform`.
        title: shown above; the clip's own by default.
    """

    _esm = bundled("player.js")
    _css = bundled("player.css")
    _desk: PlayerDesk

    def __init__(self, clip: AudioClip, regions: Iterable[RegionLike] | None = None, *, title: str = "") -> None:
        self.clip = clip
        super().__init__(**self.traits_of(clip, regions, title))

    @property
    def heard_ms(self) -> float:
        """How much of the last play the audio device really took, in ms."""
        return self._desk.heard_samples / 24

    def play(self) -> None:
        """Play from the beginning in the active view. Returns at once."""
        hand_to(self._runtime.loop, lambda: self._desk.spawn(self._desk.play()))

    def stop(self) -> None:
        """Stop. Returns at once."""
        hand_to(self._runtime.loop, lambda: self._desk.spawn(self._desk.stop()))

    def _make_desk(self) -> PlayerDesk:
        return PlayerDesk(self._runtime, self.send, self.clip)

    def _static_html(self) -> str:
        return static_clip_html(self.clip, self.regions)
