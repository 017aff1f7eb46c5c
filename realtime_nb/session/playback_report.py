"""Where a player says what it rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from realtime_nb.protocol.playback import PlaybackKey
from realtime_nb.recording.lanes import JITTER_MS

if TYPE_CHECKING:
    from .owner import SessionOwner


class RenderedAt(msgspec.Struct, frozen=True, kw_only=True):
    """When the last sample of a report was handed to the audio device.

    Attributes:
        time_ms: on the session's clock.
        error_ms: by how much that may be wrong: the bound of the browser clock's offset.
        output_latency_ms: from there to the loudspeaker, as the device says; 0 when it does not.
        clock_offset_ms: session clock minus the player's own clock.
    """

    time_ms: float
    error_ms: float = 0.0
    output_latency_ms: float = 0.0
    clock_offset_ms: float = 0.0


class PlaybackReport:
    """Takes a player's counts and answers what was heard. Called on the session's loop."""

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner

    @property
    def attached(self) -> bool:
        """Whether there is a player that will report."""
        return self._owner.output.player is not None

    def rendered(self, key: tuple[str, int], n_samples: int, at: RenderedAt | None = None) -> None:
        """Take the samples rendered so far of the part (item_id, content_index), cumulative, at 24 kHz.

        `at` says when, where the player's clock is known.
        """
        playback, part = self._owner.protocol.playback, PlaybackKey(*key)
        was_open = part in playback.open_keys
        playback.rendered(part, n_samples)
        if was_open:
            now_ms = self._owner.now_ms()
            if at is None:
                self._owner.turns.rendered(part, n_samples, now_ms, JITTER_MS)
            else:
                self._owner.turns.rendered(part, n_samples, at.time_ms + at.output_latency_ms, at.error_ms)
            self._owner.observers.tell("on_rendered", part, n_samples, now_ms, at)
        if was_open and part not in playback.open_keys:
            self._owner.turns.drained(part, self._owner.now_ms())

    def heard_ms(self, item_id: str, content_index: int = 0) -> int:
        """Return what was heard of a part, in whole milliseconds, floored."""
        return self._owner.protocol.playback.heard_ms(PlaybackKey(item_id, content_index))

    def received_ms(self, item_id: str, content_index: int = 0) -> int:
        """Return what was received of a part, in whole milliseconds, floored."""
        return self._owner.protocol.playback.received_ms(PlaybackKey(item_id, content_index))
