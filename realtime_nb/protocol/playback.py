"""What was received and what was really rendered, per `(item_id, content_index)`: the only source of `audio_end_ms`."""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec

KEPT_PARTS = 1000
"""Settled parts that are remembered; older ones can no longer be truncated from here."""


class PlaybackKey(NamedTuple):
    item_id: str
    content_index: int = 0


class PlayedPart(msgspec.Struct):
    """One audio part of one item."""

    received_samples: int = 0
    rendered_samples: int = 0
    complete: bool = False
    """No more audio will be received."""
    settled: bool = False
    """Heard to the end, or already cut."""


class CutKind(enum.Enum):
    """What an interruption must tell the server about a part."""

    NOTHING = "nothing"
    TRUNCATE = "truncate"
    DELETE = "delete"


class Cut(NamedTuple):
    """What to do about one part. `audio_end_ms` is what was heard, floored."""

    kind: CutKind
    key: PlaybackKey
    audio_end_ms: int


class Playback:
    """Bookkeeping of one session's output audio.

    Args:
        sample_rate_hz: of the samples counted.
    """

    def __init__(self, sample_rate_hz: int = 24_000) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.parts: dict[PlaybackKey, PlayedPart] = {}

    def received(self, key: PlaybackKey, n_samples: int) -> None:
        """Count audio that arrived."""
        if key not in self.parts:
            for old in [one for one, part in self.parts.items() if part.settled][:-KEPT_PARTS]:
                del self.parts[old]
        self.parts.setdefault(key, PlayedPart()).received_samples += n_samples

    def complete(self, key: PlaybackKey) -> None:
        """Note that no more audio will come for this part."""
        part = self.parts.get(key)
        if part is not None:
            part.complete = True
            self._settle(part)

    def rendered(self, key: PlaybackKey, n_samples: int) -> None:
        """Take an acknowledgement: samples rendered so far, cumulative. Never counts more than was received."""
        part = self.parts.get(key)
        if part is None or part.settled:
            return
        part.rendered_samples = max(part.rendered_samples, min(n_samples, part.received_samples))
        self._settle(part)

    def heard_ms(self, key: PlaybackKey) -> int:
        """Return what was heard, in whole milliseconds, floored."""
        part = self.parts.get(key)
        return 0 if part is None else part.rendered_samples * 1000 // self.sample_rate_hz

    def received_ms(self, key: PlaybackKey) -> int:
        """Return what was received, in whole milliseconds, floored."""
        part = self.parts.get(key)
        return 0 if part is None else part.received_samples * 1000 // self.sample_rate_hz

    @property
    def open_keys(self) -> list[PlaybackKey]:
        """Parts that still have unheard audio or may receive more."""
        return [key for key, part in self.parts.items() if not part.settled]

    def cut(self) -> list[Cut]:
        """Interrupt: settle every open part and return what the server must be told, in order.

        Rules: nothing heard → delete the item (a truncate at 0 is refused by servers); nothing unheard → nothing
        (a needless truncate makes models repeat themselves); else truncate at what was heard, floored and clamped
        to what was received.
        """
        cuts = []
        for key in self.open_keys:
            part = self.parts[key]
            part.settled = True
            heard_ms = self.heard_ms(key)
            if part.received_samples == 0 or (part.complete and part.rendered_samples >= part.received_samples):
                kind = CutKind.NOTHING
            elif heard_ms == 0:
                kind = CutKind.DELETE
            else:
                kind = CutKind.TRUNCATE
            cuts.append(Cut(kind, key, heard_ms))
        return cuts

    def forget(self, item_id: str) -> None:
        """Drop the counts of a deleted item."""
        for key in [key for key in self.parts if key.item_id == item_id]:
            del self.parts[key]

    @staticmethod
    def _settle(part: PlayedPart) -> None:
        if part.complete and part.rendered_samples >= part.received_samples:
            part.settled = True
