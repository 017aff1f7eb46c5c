"""A race as the front end draws it; TypeScript is generated from these structs."""

from __future__ import annotations

from typing import Literal

import msgspec

from realtime_nb.widgets.timeline_rows import TimelineRow

__all__ = ["FAIRNESS", "LanePhase", "LaneRow", "PendingRow", "RaceRow", "RaceState", "SummaryRow", "TableRow"]

LanePhase = Literal["idle", "warming", "asking", "thinking", "answering", "done", "failed", "stopped"]
RaceState = Literal["idle", "warming", "racing", "done", "stopped", "saved"]

FAIRNESS = (
    "A race is for seeing. Lanes that run at the same time on one machine compete for it, so their times are not a "
    "measurement. Measured figures come from runs one after another in random order: compare()."
)


class PendingRow(msgspec.Struct, frozen=True, kw_only=True):
    """The stage that a lane is in; `since_ms` is on the race's clock."""

    name: str
    label: str
    what: str
    since_ms: float


class LaneRow(msgspec.Struct, frozen=True, kw_only=True):
    """One architecture in the race.

    `zero_ms` is the true end of the speech on the race's clock, None before it. `place` is 0 until the lane answers.
    `stream_id` is that of its audio on the link, 0 when there is none.
    """

    title: str
    made_by: str
    simulated: list[str]
    phase: LanePhase
    zero_ms: float | None
    timeline: TimelineRow | None
    pending: PendingRow | None
    heard: str
    said: str
    answer_ms: float
    place: int
    error: str
    stream_id: int


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table of medians."""

    title: str
    n: int
    missing: int
    median_ms: float | None
    low_ms: float | None
    high_ms: float | None
    p90_ms: float | None


class TableRow(msgspec.Struct, frozen=True, kw_only=True):
    """Medians with their intervals; `caption` says how they came about and `provenance` who computed."""

    caption: str
    measured: bool
    rows: list[SummaryRow]
    facts: list[str]
    provenance: str


class RaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """All of a race. `now_ms` is the race's clock when this was sent; it starts with the question."""

    state: RaceState
    race: int
    races: int
    now_ms: float
    clip_title: str
    clip_ms: float
    question_stream_id: int
    lanes: list[LaneRow]
    tables: list[TableRow]
    fairness: str
