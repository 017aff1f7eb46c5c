"""Speech that comes before the session listens: while it connects, or while the button's command is on its way."""

from __future__ import annotations

from realtime_nb.audio.format import PCM16_BYTES_PER_MS

__all__ = ["EarlySpeech"]

MAX_BYTES = 10_000 * PCM16_BYTES_PER_MS


class EarlySpeech:
    """Keeps the first ten seconds of the microphone's current opening until somebody takes them."""

    def __init__(self) -> None:
        self.dropped_bytes = 0
        self._kept = bytearray()
        self._stream_id = 0
        self._over = False

    def keep(self, stream_id: int, pcm16: bytes) -> None:
        """Keep a frame; a new opening forgets the last one, and one that is over is not kept any more."""
        if stream_id != self._stream_id:
            self._stream_id, self._over = stream_id, False
            self._kept.clear()
        if self._over:
            return
        if len(self._kept) + len(pcm16) > MAX_BYTES:
            self.dropped_bytes += len(pcm16)
        else:
            self._kept += pcm16

    def take(self) -> bytes:
        """Return what was kept, and keep it no longer."""
        taken = bytes(self._kept)
        self._kept.clear()
        return taken

    def end(self, stream_id: int) -> None:
        """The talk is over: what still comes of this opening is not speech."""
        self._stream_id, self._over = stream_id, True
        self._kept.clear()
