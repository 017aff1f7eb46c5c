"""A comparison as the race shows it: medians with their intervals, and lanes of saved runs."""

from __future__ import annotations

import msgspec

from realtime_nb.errors import MissingExtra
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.rows import Row
from realtime_nb.studies.statistics import Estimate, percentile
from realtime_nb.timing.marks import STAGES
from realtime_nb.widgets.race_lane import lane_title
from realtime_nb.widgets.race_rows import LaneRow, SummaryRow, TableRow
from realtime_nb.widgets.timeline_rows import STAGE_LABELS, UNATTRIBUTED, SpanRow, TimelineRow, in_ms

__all__ = ["MEASURED", "RACED", "saved_lanes", "table_row"]

MEASURED = "Measured: runs one after another, in random order"
RACED = "Raced: all lanes at once, so they compete for this machine"
WITHOUT_PLACE = f"{UNATTRIBUTED}; a table keeps how long it was, not where"


def table_row(comparison: Comparison, *, measured: bool) -> TableRow:
    """Return a comparison's table: median with its interval, p90, n. Takes a moment; not on a loop.

    Ratios are given only for measured runs, and only where the pairs allow an interval.
    """
    facts: list[str] = []
    line = comparison.provenance.line
    try:
        rows = [_summary(comparison, name, comparison.median(name)) for name in comparison.pipelines]
        if measured:
            facts = _ratios(comparison)
    except MissingExtra as problem:
        rows = [_summary(comparison, name, None) for name in comparison.pipelines]
        facts = [f"No intervals: {problem}"]
    return TableRow(
        caption=MEASURED if measured else RACED,
        measured=measured,
        rows=rows,
        facts=facts,
        provenance=line if measured else f"not a measurement · {line.removeprefix('measured · ')}",
    )


def saved_lanes(comparison: Comparison) -> list[LaneRow]:
    """Return a lane for each pipeline: the run whose voice-to-voice is nearest to the pipeline's median."""
    lanes = []
    for name in comparison.pipelines:
        row = _middle_run(comparison.of(name))
        lanes.append(_failed_lane(comparison, name) if row is None else _saved_lane(name, row))
    timed = sorted((lane.timeline.voice_to_voice_ms or 0.0, lane.title) for lane in lanes if lane.timeline is not None)
    places = {title: place for place, (_, title) in enumerate(timed, 1)}
    return [_placed(lane, places.get(lane.title, 0)) for lane in lanes]


def _summary(comparison: Comparison, name: str, middle: Estimate | None) -> SummaryRow:
    rows = comparison.of(name)
    values = [row.measured_ms for row in rows if row.measured_ms is not None]
    return SummaryRow(
        title=lane_title(name),
        n=len(values),
        missing=len(rows) - len(values),
        median_ms=percentile(values, 50),
        low_ms=middle.low if middle is not None else None,
        high_ms=middle.high if middle is not None else None,
        p90_ms=percentile(values, 90),
    )


def _ratios(comparison: Comparison) -> list[str]:
    if "realtime" not in comparison.pipelines:
        return []
    others = [name for name in comparison.pipelines if name != "realtime"]
    return [str(comparison.ratio(name, "realtime")) for name in others]


def _middle_run(rows: tuple[Row, ...]) -> Row | None:
    values = [row.measured_ms for row in rows if row.measured_ms is not None]
    middle = percentile(values, 50)
    if middle is None:
        return None
    return min((row for row in rows if row.measured_ms is not None), key=lambda row: abs(row.measured_ms - middle))  # type: ignore[operator]


def _saved_lane(name: str, row: Row) -> LaneRow:
    spans, at_ms = [], 0.0
    stages: list[tuple[str, str, str, float]] = [
        (stage, STAGE_LABELS[stage], STAGES[stage], took_ms) for stage, took_ms in row.stages.items()
    ]
    if row.unattributed_ms:
        stages.append(("unattributed", "Unattributed", WITHOUT_PLACE, row.unattributed_ms))
    for stage, label, what, took_ms in stages:
        spans.append(
            SpanRow(
                name=stage,
                label=label,
                what=what,
                start_ms=at_ms,
                end_ms=at_ms + took_ms,
                error_ms=0.0,
                source="measured",
            )
        )
        at_ms += took_ms
    laid = TimelineRow(
        title=lane_title(name),
        route=lane_title(name),
        made_by=row.engine or row.model,
        simulated=[part for part in row.simulated.split("; ") if part and part not in row.engine],
        headline=f"Voice to voice {in_ms(row.voice_to_voice_ms or 0.0)}, the run nearest to the median",
        voice_to_voice_ms=row.voice_to_voice_ms,
        spans=spans,
        moments=[],
        flags=[],
    )
    return _lane(name, laid, heard=row.heard, said=row.said)


def _failed_lane(comparison: Comparison, name: str) -> LaneRow:
    why = [str(row["why"]) for row in comparison.missing() if row["pipeline"] == name]
    return _lane(name, None, error=why[0] if why else "nothing was measured")


def _lane(name: str, laid: TimelineRow | None, *, heard: str = "", said: str = "", error: str = "") -> LaneRow:
    return LaneRow(
        title=lane_title(name),
        made_by=laid.made_by if laid is not None else "",
        simulated=laid.simulated if laid is not None else [],
        phase="failed" if laid is None else "done",
        zero_ms=0.0,
        timeline=laid,
        pending=None,
        heard=heard,
        said=said,
        answer_ms=0.0,
        place=0,
        error=error,
        stream_id=0,
    )


def _placed(lane: LaneRow, place: int) -> LaneRow:
    return msgspec.structs.replace(lane, place=place)
