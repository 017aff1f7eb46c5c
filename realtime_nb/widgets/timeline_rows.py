"""Timelines as the front end draws them; TypeScript is generated from these structs.

All times are milliseconds since the true end of the user's speech, or since the first known moment where that end is
not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from realtime_nb.timing.marks import MOMENTS, STAGES, MomentName, Route, StageName, Timeline

__all__ = [
    "ROUTE_TITLES",
    "STAGE_LABELS",
    "UNATTRIBUTED",
    "MomentRow",
    "SpanRow",
    "TimelineRow",
    "in_ms",
    "moment_label",
    "timeline_row",
]

ROUTE_TITLES: Mapping[Route, str] = {
    "chain": "Chain, batch",
    "chain-streaming": "Chain, streaming",
    "chat-audio": "Chat with audio",
    "realtime": "Realtime",
}
STAGE_LABELS: Mapping[StageName, str] = {
    "vad_hold": "VAD hold",
    "commit": "Commit",
    "upload": "Upload",
    "transcription": "Transcription",
    "tool_choice": "Tool choice",
    "tool": "Tool",
    "first_text": "First text",
    "sentence": "Sentence",
    "first_audio": "First audio",
    "leading_silence": "Leading silence",
    "output": "Output",
}
UNATTRIBUTED = "time between two known moments that no stage explains, because a moment between them is unknown"
ENDS = {
    "rendered": "to the loudspeaker",
    "first_audible": "to the first audible sample at the player; the loudspeaker was not measured",
}


class SpanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a turn: a stage by its name, or "unattributed", which no stage explains."""

    name: str
    label: str
    what: str
    start_ms: float
    end_ms: float
    error_ms: float
    source: str


class MomentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of a turn; without a time, `why` says why it could not be measured."""

    name: str
    label: str
    what: str
    time_ms: float | None
    error_ms: float
    source: str
    beside: bool
    why: str


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One turn as it is drawn."""

    title: str
    route: str
    made_by: str
    simulated: list[str]
    headline: str
    voice_to_voice_ms: float | None
    spans: list[SpanRow]
    moments: list[MomentRow]
    flags: list[str]


def timeline_row(found: Timeline, *, title: str = "", made_by: str = "", simulated: Sequence[str] = ()) -> TimelineRow:
    """Return a timeline as the front end draws it.

    Args:
        found: the turn's timeline.
        title: names the turn; the route's name when empty.
        made_by: which engine answered, as it is shown.
        simulated: what was simulated, in words.
    """
    zero_ms = _zero_ms(found)
    return TimelineRow(
        title=title or ROUTE_TITLES[found.route],
        route=ROUTE_TITLES[found.route],
        made_by=made_by,
        simulated=list(simulated),
        headline=_headline(found),
        voice_to_voice_ms=found.voice_to_voice_ms,
        spans=_spans(found, zero_ms),
        moments=_moments(found, zero_ms),
        flags=[*found.flags],
    )


def moment_label(name: MomentName) -> str:
    """Return a moment's name in words."""
    return name.replace("_", " ").capitalize()


def in_ms(value_ms: float, error_ms: float = 0.0) -> str:
    """Return a duration with its unit and, where it is not exact, its error."""
    digits = 0 if abs(value_ms) >= 100 else 1
    error = f" ± {error_ms:.{1 if error_ms < 10 else 0}f}" if error_ms >= 0.05 else ""
    return f"{value_ms:.{digits}f}{error} ms"


def _zero_ms(found: Timeline) -> float:
    known = found.moments.get("speech_end")
    if known is not None:
        return known.time_ms
    return min((moment.time_ms for moment in found.moments.values()), default=0.0)


def _headline(found: Timeline) -> str:
    if found.voice_to_voice_ms is None or found.ends_at is None:
        wanted: MomentName = "first_audible" if "speech_end" in found.moments else "speech_end"
        why = found.unmeasured.get(wanted, f'the moment "{moment_label(wanted).lower()}" is unknown')
        return f"Voice to voice is not known: {why}"
    error_ms = found.moments["speech_end"].error_ms + found.moments[found.ends_at].error_ms
    return f"Voice to voice {in_ms(found.voice_to_voice_ms, error_ms)}, {ENDS[found.ends_at]}"


def _spans(found: Timeline, zero_ms: float) -> list[SpanRow]:
    spans = []
    for stage in found.stages:
        spans.append(
            SpanRow(
                name=stage.name,
                label=STAGE_LABELS[stage.name],
                what=STAGES[stage.name],
                start_ms=stage.start_ms - zero_ms,
                end_ms=stage.end_ms - zero_ms,
                error_ms=stage.error_ms,
                source=stage.source,
            )
        )
    for start_ms, end_ms in found.unattributed:
        spans.append(
            SpanRow(
                name="unattributed",
                label="Unattributed",
                what=UNATTRIBUTED,
                start_ms=start_ms - zero_ms,
                end_ms=end_ms - zero_ms,
                error_ms=0.0,
                source="measured",
            )
        )
    return sorted(spans, key=lambda span: (span.start_ms, span.end_ms))


def _moments(found: Timeline, zero_ms: float) -> list[MomentRow]:
    rows = [
        MomentRow(
            name=name,
            label=moment_label(name),
            what=MOMENTS[name],
            time_ms=moment.time_ms - zero_ms,
            error_ms=moment.error_ms,
            source=moment.source,
            beside=name in found.beside,
            why="",
        )
        for name, moment in found.moments.items()
    ]
    rows.sort(key=lambda row: row.time_ms or 0.0)
    for name, why in found.unmeasured.items():
        if name not in found.moments:
            rows.append(
                MomentRow(
                    name=name,
                    label=moment_label(name),
                    what=MOMENTS[name],
                    time_ms=None,
                    error_ms=0.0,
                    source="",
                    beside=False,
                    why=why,
                )
            )
    return rows
