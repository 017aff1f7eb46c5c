"""What a recording on disk is: a folder of plain files that outlives this program.

::

    manifest.json    what made it, where, when; rewritten when the recording ends well
    events.jsonl     every wire event, one a line: sequence, time_ns, direction, event
    audio.wav        PCM16, 24 kHz, two channels on one clock: left the user, right the assistant as heard
    marks.jsonl      moments that are no wire events: name, time_ns, details

Times are nanoseconds since the session began. A reader takes what is there: a recording cut off in the middle of a line
or of the audio is short, not broken.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1
SAMPLE_RATE_HZ = 24_000
CHANNELS = 2
WAV_HEADER_BYTES = 44

MANIFEST = "manifest.json"
EVENTS = "events.jsonl"
AUDIO = "audio.wav"
MARKS = "marks.jsonl"

SECRET_KEYS = frozenset(
    {"authorization", "api_key", "apikey", "client_secret", "secret", "token", "access_token", "headers", "password"}
)
"""Keys whose values never reach a file, wherever they stand in an event."""

Redaction = Literal["audio", "transcripts"]


class Manifest(msgspec.Struct, kw_only=True):
    """Where a recording comes from.

    Attributes:
        created: ISO 8601 with zone.
        endpoint: the server, without secrets.
        machine: operating system, processor and count of cores.
        ended: why the session ended; None while it runs or when it was cut off.
        redacted: what was left out on purpose.
    """

    schema_version: int = SCHEMA_VERSION
    created: str
    realtime_nb: str
    python: str
    machine: str
    endpoint: str
    engine: str = ""
    model: str = ""
    sample_rate_hz: int = SAMPLE_RATE_HZ
    redacted: list[Redaction] = []
    ended: str | None = None


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


def without_secrets(value: Any) -> Any:
    """Return a JSON value with the values of secret keys replaced by "(removed)"."""
    if isinstance(value, dict):
        return {
            key: "(removed)" if key.lower() in SECRET_KEYS and item else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value
