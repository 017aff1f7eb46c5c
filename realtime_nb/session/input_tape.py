"""The user's audio as it was sent, on the server's running millisecond count."""

from __future__ import annotations

from collections import deque

MAX_TAPE_MS = 180_000
BYTES_PER_MS = 48


class InputTape:
    """The last three minutes of 24 kHz PCM16 that were appended, and when.

    The server counts milliseconds over all audio appended in a session; this keeps the same count.
    """

    def __init__(self) -> None:
        self._audio = bytearray()
        self._start_byte = 0
        self._base_byte = 0
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=20_000)

    @property
    def end_ms(self) -> float:
        """All audio appended so far on this connection."""
        return (self._start_byte + len(self._audio) - self._base_byte) / BYTES_PER_MS

    def restart(self) -> None:
        """Count from 0 again: a new connection began."""
        self._base_byte = self._start_byte + len(self._audio)
        self._arrivals.clear()

    def append(self, pcm16: bytes, now_ms: float) -> None:
        """Note audio that is being sent at session time `now_ms`."""
        self._audio += pcm16
        excess = len(self._audio) - MAX_TAPE_MS * BYTES_PER_MS
        if excess > 0:
            del self._audio[:excess]
            self._start_byte += excess
        self._arrivals.append((self.end_ms, now_ms))

    def slice(self, start_ms: float, end_ms: float) -> bytes:
        """Return what is still held of the span."""
        shift = self._base_byte - self._start_byte
        first = max(0, int(start_ms * 24) * 2 + shift)
        last = max(first, int(end_ms * 24) * 2 + shift)
        return bytes(self._audio[first:last])

    def session_ms(self, tape_ms: float, *, begins: bool = False) -> float:
        """Return the session time at which the tape's millisecond was spoken (sent, less its place in its chunk).

        Where one chunk ends another begins, perhaps much later (the microphone was closed): `begins` asks for the
        later one.
        """
        chunk = None
        for arrival in reversed(self._arrivals):
            if arrival[0] < tape_ms or (begins and arrival[0] == tape_ms):
                break
            chunk = arrival
        if chunk is None:
            chunk = self._arrivals[-1] if self._arrivals else (tape_ms, 0.0)
        end_ms, now_ms = chunk
        return now_ms - (end_ms - tape_ms)
