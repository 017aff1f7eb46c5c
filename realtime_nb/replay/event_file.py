"""`events.jsonl` read in place: the index says where each event stands, and only what is wanted is decoded."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.recording.format import EVENTS, INDEX, RecordedEvent
from realtime_nb.recording.index import DTYPE, RECEIVED, scanned

CHUNK_BYTES = 1 << 24
NEWLINE = 10
LOOKED_AT = 64
"""Of an index, ends of lines that are compared with the file: one edited by hand has others."""
_decoder = msgspec.json.Decoder(RecordedEvent)


class EventFile:
    """The events of a recording. Opening reads the index only; a missing or short index is made up by a scan.

    Attributes:
        entries: one a line, in the file's order; fields as in `realtime_nb.recording.index`.
    """

    def __init__(self, folder: Path, note: Callable[[str], None]) -> None:
        self._note = note
        self._unread: set[int] = set()
        path = folder / EVENTS
        self._data: bytes | mmap.mmap = b""
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.entries = self._completed(_indexed(folder / INDEX, self._data))

    def __len__(self) -> int:
        return len(self.entries)

    def line(self, number: int) -> bytes:
        """Return a whole line, its end included."""
        entry = self.entries[number]
        start = int(entry["offset"])
        return self._data[start : start + int(entry["length"])]

    def event(self, number: int) -> RecordedEvent | None:
        """Return an event decoded; None, and a note, when it cannot be read."""
        try:
            return _decoder.decode(self.line(number))
        except (msgspec.DecodeError, UnicodeError):
            self._count_unread({number})
            return None

    def events(self, numbers: Iterable[int] | None = None) -> Iterator[RecordedEvent]:
        """Yield events in order, all of them or those numbered; what cannot be read is passed over and noted."""
        for number in range(len(self)) if numbers is None else numbers:
            event = self.event(number)
            if event is not None:
                yield event

    def of_kind(self, *kinds: int) -> npt.NDArray[np.intp]:
        """Return the numbers of the entries of these kinds."""
        return np.flatnonzero(np.isin(self.entries["kind"], kinds))

    def of_type(self, *types: str) -> list[int]:
        """Return the numbers of the received events of these types; audio is not looked at."""
        names = [name.encode() for name in types]
        found = []
        for number in self.of_kind(RECEIVED).tolist():
            line = self.line(number)
            if any(name in line for name in names):
                event = self.event(number)
                if event is not None and (event.event or {}).get("type") in types:
                    found.append(number)
        return found

    def _completed(self, entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the entries with those that the index lacks."""
        end = int(entries[-1]["offset"] + entries[-1]["length"]) if len(entries) else 0
        found: list[tuple[int, int, int, int, int]] = []
        while end < len(self._data):
            chunk = self._data[end : end + CHUNK_BYTES]
            stop = chunk.rfind(b"\n") + 1
            if stop == 0:
                stop = self._data.find(b"\n", end) + 1 - end
                if stop <= 0:
                    self._count_unread({-1})
                    break
                chunk = self._data[end : end + stop]
            found += scanned(chunk[:stop], end)
            end += stop
        rest = np.zeros(len(found), DTYPE)
        for name, values in zip(
            ("offset", "time_ns", "length", "audio_bytes", "kind"), zip(*found, strict=True), strict=False
        ):
            rest[name] = values
        return np.concatenate([entries, rest]) if len(found) else entries

    def _count_unread(self, numbers: set[int]) -> None:
        self._unread |= numbers
        n = len(self._unread)
        self._note(unread_note(n, EVENTS))


def unread_note(n: int, name: str) -> str:
    """Return what is said of lines that cannot be read."""
    return f"{n} line{'s' * (n != 1)} of {name} could not be read (a recording cut off ends in half a line)."


def _indexed(path: Path, data: bytes | mmap.mmap) -> npt.NDArray[Any]:
    """Return the index as far as it fits the file; nothing of one that contradicts itself or the file."""
    if not path.exists():
        return np.zeros(0, DTYPE)
    raw = path.read_bytes()
    entries = np.frombuffer(raw[: len(raw) - len(raw) % DTYPE.itemsize], DTYPE)
    ends = entries["offset"] + entries["length"]
    entries = entries[: int(np.searchsorted(ends, len(data), side="right"))]
    begins = np.concatenate([[np.uint64(0)], ends[: max(0, len(entries) - 1)]])[: len(entries)]
    some = np.unique(np.linspace(len(entries) - 1, 0, LOOKED_AT).astype(int))[: len(entries)]
    fits = np.array_equal(entries["offset"], begins) and all(data[end - 1] == NEWLINE for end in ends[some].tolist())
    return entries if fits else np.zeros(0, DTYPE)
