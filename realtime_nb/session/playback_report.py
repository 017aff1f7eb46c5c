"""Where a player says what it rendered."""

from __future__ import annotations

from realtime_nb.protocol.playback import PlaybackKey

from .owner import SessionOwner


class PlaybackReport:
    """Takes a player's counts and answers what was heard. Called on the session's loop."""

    def __init__(self, owner: SessionOwner) -> None:
        self._owner = owner

    def rendered(self, key: tuple[str, int], n_samples: int) -> None:
        """Take the samples rendered so far of the part (item_id, content_index), cumulative, at 24 kHz."""
        playback, part = self._owner.protocol.playback, PlaybackKey(*key)
        was_open = part in playback.open_keys
        playback.rendered(part, n_samples)
        if was_open:
            self._owner.observers.tell("on_rendered", part, n_samples, self._owner.now_ms())
        if was_open and part not in playback.open_keys:
            self._owner.turns.drained(part, self._owner.now_ms())

    def heard_ms(self, item_id: str, content_index: int = 0) -> int:
        """Return what was heard of a part, in whole milliseconds, floored."""
        return self._owner.protocol.playback.heard_ms(PlaybackKey(item_id, content_index))

    def received_ms(self, item_id: str, content_index: int = 0) -> int:
        """Return what was received of a part, in whole milliseconds, floored."""
        return self._owner.protocol.playback.received_ms(PlaybackKey(item_id, content_index))
