"""Where a piece of audio belongs on the recording's clock, when its moment is known only roughly."""

from __future__ import annotations

from collections import deque

SAMPLES_PER_MS = 24
JITTER_MS = 60.0
"""Pieces whose moment is known by their arrival: later by less than this is jitter, not a gap."""
STEADY_MS = 1000.0
"""If every piece of so long came late, it was no jitter: the clocks drift apart, and the lane catches up."""
CORRECT_MS = 5.0
HELD_BYTES = 48_000
"""After a gap so much is held (1 s), to be moved when later pieces show that the first ones were only late."""


class Lane:
    """One channel. Pieces of a stream join; a gap is a gap.

    Pieces never overlap: audio that arrives faster than it sounds is laid out at the speed of speech.
    """

    def __init__(self) -> None:
        self.next = 0
        self._begun = False
        self._late: deque[tuple[float, float]] = deque(maxlen=1000)

    def place(self, end_ms: float, n_samples: int, *, error_ms: float = JITTER_MS) -> int:
        """Return the sample at which a piece begins whose last sample sounded at `end_ms` of the session's clock.

        Args:
            end_ms: when it ended.
            n_samples: at 24 kHz.
            error_ms: by how much `end_ms` may be late.
        """
        wanted = round(end_ms * SAMPLES_PER_MS) - n_samples
        late_ms = (wanted - self.next) / SAMPLES_PER_MS
        if late_ms > max(error_ms, CORRECT_MS) or not self._begun:
            self._begun = True
            self._late.clear()
            self.next = wanted
        elif late_ms > 0:
            self._catch_up(end_ms, late_ms)
        else:
            self._late.clear()
        position = max(0, self.next)
        self.next = position + n_samples
        return position

    def _catch_up(self, end_ms: float, late_ms: float) -> None:
        self._late.append((end_ms, late_ms))
        if end_ms - self._late[0][0] < STEADY_MS:
            return
        least_ms = min(late for _, late in self._late)
        self._late.clear()
        if least_ms > CORRECT_MS:
            self.next += round(least_ms * SAMPLES_PER_MS)


class ArrivalLane(Lane):
    """A lane of a live source: no piece arrives before it was spoken, so after a gap the most punctual one tells.

    Pieces that a busy machine held back look like a gap at first; those behind them come at once and close it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._floor = self._start = 0
        self._held: bytearray | None = None

    def lay(self, end_ms: float, pcm16: bytes) -> tuple[int, bytes]:
        """Return what to write where for a piece that had ended by `end_ms`; it may write anew what follows a gap."""
        n_samples, end = len(pcm16) // 2, self.next
        position = self.place(end_ms, n_samples)
        if position > end:
            self._floor, self._start, self._held = end, position, bytearray()
        if self._held is None:
            return position, pcm16
        self._held += pcm16
        early = self.next - round(end_ms * SAMPLES_PER_MS)
        moved = min(early, self._start - self._floor)
        held = self._held
        if len(held) > HELD_BYTES:
            self._held = None
        if moved <= 0:
            return position, pcm16
        self._start -= moved
        self.next -= moved
        return self._start, bytes(held) + bytes(2 * moved)
