"""What a recording on disk is: a folder of plain files that outlives this program.

::

    manifest.json    what made it, where, when; rewritten when the recording ends well
    events.jsonl     every wire event, one a line: sequence, time_ns, direction, event
    audio.wav        PCM16, 24 kHz, two channels on one clock: left the user, right the assistant as heard
    marks.jsonl      moments that are no wire events: name, time_ns, details
    index.bin        where each event stands in events.jsonl; can be made again from it, so a reader may do without

Times are nanoseconds since the session began. A reader takes what is there: a recording cut off in the middle of a line
or of the audio is short, not broken.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

from .redaction import Redaction

SCHEMA_VERSION = 1
SAMPLE_RATE_HZ = 24_000
CHANNELS = 2
WAV_HEADER_BYTES = 44

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"
AUDIO = "audio.wav"
MARKS = "marks.jsonl"
INDEX = "index.bin"


class Manifest(msgspec.Struct, kw_only=True):
    """Where a recording comes from.

    Attributes:
        created: when the recording was begun, ISO 8601 with zone.
        session_began: the wall clock at the session's time 0, ISO 8601 with zone; "" when unknown.
        packages: versions of the libraries that decide what happened.
        endpoint: the server, without user, password and query.
        engine: what really computed, as the server or the session says.
        machine: operating system, processor and count of cores.
        ended: why the session ended; None while it runs or when it was cut off.
        dropped: things that were not written, because the disk was too slow or they were too odd.
        failure: why writing stopped before the session did.
        notes: what else a reader should know.
        redacted: what was left out on purpose.
    """

    schema_version: int = SCHEMA_VERSION
    created: str
    realtime_nb: str
    python: str
    machine: str
    session_began: str = ""
    packages: dict[str, str] = {}
    endpoint: str
    engine: str = ""
    model: str = ""
    sample_rate_hz: int = SAMPLE_RATE_HZ
    redacted: list[Redaction] = []
    ended: str | None = None
    dropped: int = 0
    failure: str | None = None
    notes: list[str] = []


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `events.jsonl`. `raw` holds a frame that was not JSON."""

    sequence: int
    time_ns: int
    direction: Literal["sent", "received"]
    event: dict[str, Any] | None = None
    raw: str | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `marks.jsonl`."""

    name: str
    time_ns: int
    details: dict[str, Any] = {}


def wav_header(n_frames: int) -> bytes:
    """Return the 44 bytes before `n_frames` stereo PCM16 samples at 24 kHz."""
    data = n_frames * CHANNELS * 2
    byte_rate = SAMPLE_RATE_HZ * CHANNELS * 2
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(36 + data, 0xFFFFFFFF), b"WAVE", b"fmt ", 16, 1, CHANNELS, SAMPLE_RATE_HZ),
        *(byte_rate, CHANNELS * 2, 16, b"data", min(data, 0xFFFFFFFF)),
    )
