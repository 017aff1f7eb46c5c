"""What a conformance run finds: one row per event, field and behaviour, each with one verdict."""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

Profile = Literal["core", "full"]

LONGEST_SHOWN = 120
AUDIO_KEYS = ("audio", "delta", "image_url")


class Verdict(enum.Enum):
    """How a row came out."""

    PASS = "pass"
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    NOT_TESTED = "not tested"


class Row(msgspec.Struct, frozen=True):
    """One thing that a server should do.

    Attributes:
        key: names it inside its scenario.
        event: the wire event it is about.
        field: the field in it, "" for the event itself.
        behaviour: what should be so.
        profile: "core" for what no usable server can do without, "full" for the rest.
    """

    key: str
    event: str
    field: str
    behaviour: str
    profile: Profile = "full"


class Finding(msgspec.Struct, kw_only=True):
    """A row with its verdict.

    Attributes:
        scenario: where it was found.
        why: in words, for anything but a pass.
        frame: the offending frame, long strings and audio left out.
        seen: how often it was looked at.
    """

    scenario: str
    event: str
    field: str
    behaviour: str
    profile: Profile
    verdict: Verdict
    why: str = ""
    frame: Any = None
    seen: int = 0


def finding(scenario: str, row: Row, verdict: Verdict, why: str = "", frame: Any = None, seen: int = 0) -> Finding:
    """Return a row's finding."""
    return Finding(
        scenario=scenario,
        event=row.event,
        field=row.field,
        behaviour=row.behaviour,
        profile=row.profile,
        verdict=verdict,
        why=why,
        frame=elided(frame),
        seen=seen,
    )


def elided(value: Any, key: str = "") -> Any:
    """Return a frame fit for a report: audio and long strings shortened, everything else as it was."""
    if isinstance(value, dict):
        return {name: elided(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [elided(one, key) for one in value[:20]]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        kind = "of base64" if key in AUDIO_KEYS else "more"
        return f"{'' if key in AUDIO_KEYS else value[:LONGEST_SHOWN]}<{len(value)} characters {kind}>"
    return value
