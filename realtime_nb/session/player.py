"""What a session needs of a loudspeaker: audio in, and the truth about what was rendered."""

from __future__ import annotations

from typing import Protocol

from realtime_nb.protocol.playback import PlaybackKey


class Player(Protocol):
    """Plays output audio somewhere. Called on the session's loop; nothing may block.

    Progress goes to `session.playback.rendered(key, samples)` as it happens.
    """

    def begin(self, item_id: str, content_index: int) -> None:
        """Audio of this part will follow."""
        ...

    def write(self, item_id: str, content_index: int, pcm16: bytes) -> None:
        """Queue audio, 24 kHz PCM16."""
        ...

    def end(self, item_id: str, content_index: int) -> None:
        """No more audio will follow for this part."""
        ...

    async def flush(self) -> dict[tuple[str, int], int]:
        """Stop now, drop what is queued, and return samples rendered per (item_id, content_index), at 24 kHz.

        What is begun before it returns is stopped, too.
        Must return within 300 ms, with the last known counts if the device does not answer.
        """
        ...


__all__ = ["PlaybackKey", "Player"]
