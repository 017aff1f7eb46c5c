"""Where each event stands in `events.jsonl`, so that a long recording opens without being read."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

ENTRY = struct.Struct("<QQIIB7x")
"""offset (u64), time_ns (u64), length (u32), audio_bytes (u32), kind (u8), 7 reserved: 32 bytes."""
DTYPE = np.dtype(
    {
        "names": ["offset", "time_ns", "length", "audio_bytes", "kind"],
        "formats": ["<u8", "<u8", "<u4", "<u4", "u1"],
        "offsets": [0, 8, 16, 20, 24],
        "itemsize": ENTRY.size,
    }
)

RECEIVED, SENT, APPEND, AUDIO_DELTA = range(4)
"""What an entry is: a received event, a sent one, audio sent, audio received (the two that make a file long)."""
_PAYLOADS = {
    "input_audio_buffer.append": (APPEND, '"audio":"'),
    "response.output_audio.delta": (AUDIO_DELTA, '"delta":"'),
    "response.audio.delta": (AUDIO_DELTA, '"delta":"'),
}
_HEAD_CHARACTERS = 200


class Kind(NamedTuple):
    """What a frame is, as far as the index cares."""

    kind: int
    audio_bytes: int = 0


def kind_of(direction: str, event_type: str, frame: str) -> Kind:
    """Return a frame's kind and how much audio it carries; a frame written in an unusual way counts as any other."""
    known = _PAYLOADS.get(event_type)
    if known is not None and "\n" not in frame:
        kind, opening = known
        start = frame.find(opening)
        end = frame.find('"', start + len(opening)) if start >= 0 else -1
        if end > 0:
            n = end - start - len(opening)
            padding = frame.count("=", max(0, end - 2), end)
            return Kind(kind, n * 3 // 4 - padding)
    return Kind(SENT if direction == "sent" else RECEIVED)


def scanned(lines: bytes, base: int) -> list[tuple[int, int, int, int, int]]:
    """Return entries for the whole lines in `lines`, which begin at `base` of the file. For a file without an index."""
    entries = []
    start = 0
    while (end := lines.find(b"\n", start)) >= 0:
        line = lines[start : end + 1]
        head = line[:_HEAD_CHARACTERS].decode("utf-8", "replace")
        kind = Kind(SENT if '"direction":"sent"' in head else RECEIVED)
        for event_type in _PAYLOADS:
            if f'"type":"{event_type}"' in head:
                kind = kind_of(
                    "sent" if kind.kind == SENT else "received", event_type, line[:-1].decode("utf-8", "replace")
                )
        entries.append((base + start, _time_ns(head), len(line), kind.audio_bytes, kind.kind))
        start = end + 1
    return entries


def _time_ns(head: str) -> int:
    _, found, rest = head.partition('"time_ns":')
    digits = rest[: next((i for i, c in enumerate(rest) if not c.isdigit()), len(rest))]
    return int(digits) if found and 0 < len(digits) < 19 else 0
