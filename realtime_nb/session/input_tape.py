"""The user's audio as it was sent, on the server's running millisecond count."""

from __future__ import annotations

from collections import deque

MAX_TAPE_MS = 180_000
BYTES_PER_MS = 48
LONGEST_CHUNK_MS = 200.0
STEADY_MS = 1000.0
PAUSE_MS = 60.0
"""Chunks that are further apart than their audio is long, by more than this, do not follow one another."""


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

    def spoken_by_ms(self, tape_ms: float) -> float:
        """Return the session time at which the tape's millisecond was spoken, without the sender's own lateness.

        A chunk is sent late when the machine is busy, never early: of the chunks up to this one that came without a
        pause, at most the last second, the most punctual one tells.
        """
        best_ms, end_before_ms, after_ms = self.session_ms(tape_ms), float("inf"), float("inf")
        for end_ms, now_ms in reversed(self._arrivals):
            if end_ms >= tape_ms + LONGEST_CHUNK_MS:
                continue
            if end_ms < tape_ms - STEADY_MS or now_ms < after_ms - (end_before_ms - end_ms) - PAUSE_MS:
                break
            if end_ms <= tape_ms:
                best_ms = min(best_ms, now_ms + tape_ms - end_ms)
            end_before_ms, after_ms = end_ms, now_ms
        return best_ms
