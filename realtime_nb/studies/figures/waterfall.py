"""One turn as a waterfall: each stage where it began, as long as it took, and what no stage explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from realtime_nb.errors import ConfigurationError
from realtime_nb.pipelines.base import Provenance
from realtime_nb.studies.figures.look import (
    STAGE_WORDS,
    Look,
    Size,
    Theme,
    edge_of,
    look,
    milliseconds,
)
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page
from realtime_nb.studies.provenance import machine as this_machine
from realtime_nb.studies.provenance import now
from realtime_nb.timing.marks import Moment, MomentName, Timeline
from realtime_nb.timing.stage_colours import STAGE_COLOURS

if TYPE_CHECKING:
    from realtime_nb.session.session import Session

FARTHEST = 1.3
"""What ran beside the path and ended later than this many times the whole is drawn at the edge, with its time."""


class _Bar(NamedTuple):
    label: str
    start_ms: float
    duration_ms: float
    colour: str
    hatch: str
    words: str


def waterfall(
    turn: Any,
    *,
    provenance: Provenance | Session | str | None = None,
    machine: str = "",
    date: str = "",
    theme: Theme = "light",
    size: Size = "notebook",
) -> ProvenFigure:
    """Draw where one turn's time went, from the true end of the user's speech.

    Args:
        turn: a `Timeline`, or anything that has one (`PipelineTurn`, a session's turn).
        provenance: who answered, when the turn does not say; a session knows, and was measured here and now.
        machine: where it was measured.
        date: when.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no timeline, or nothing on it.
    """
    timeline = turn if isinstance(turn, Timeline) else getattr(turn, "timeline", None)
    if not isinstance(timeline, Timeline) or not timeline.moments:
        raise ConfigurationError(
            f"{type(turn).__name__} has no timeline with moments on it.",
            what_now="Give a PipelineTurn, a session's turn, or a Timeline.",
        )
    style = look(theme, size)
    began = timeline.moments.get("speech_end") or min(timeline.moments.values(), key=lambda moment: moment.time_ms)
    bars = _bars(timeline, began, style)
    figure, (axes,) = new_page(style)
    _draw(axes, bars, timeline, began, style)
    total = timeline.voice_to_voice_ms
    counted = (
        f"{timeline.route}: {milliseconds(total)} voice-to-voice"
        if total is not None
        else (f"{timeline.route}: voice-to-voice could not be measured")
    )
    if total is not None:
        counted += f", {milliseconds(timeline.unattributed_ms)} of it unattributed"
    rows = len(bars) + len(timeline.beside)
    return finish(
        figure,
        style,
        title="Where one turn's time went",
        subtitle=counted,
        notes=_notes(timeline),
        provenance=_line(timeline, provenance or getattr(turn, "provenance", None), machine, date),
        handles=_handles(bars, total is not None, style),
        plot_in=style.row_in * max(rows, 1),
        alt_text=f"Waterfall of one turn. {counted}. "
        + "; ".join(f"{bar.label}: {milliseconds(bar.duration_ms)}" for bar in bars),
    )


def _bars(timeline: Timeline, began: Moment, style: Look) -> list[_Bar]:
    bars = [
        _Bar(
            STAGE_WORDS[stage.name],
            stage.start_ms - began.time_ms,
            stage.duration_ms,
            STAGE_COLOURS[stage.name],
            style.simulated_hatch if stage.source == "simulated" else "",
            milliseconds(stage.duration_ms)
            + (f" ± {stage.error_ms:.0f}" if stage.error_ms else "")
            + (f" ({stage.source})" if stage.source != "measured" else ""),
        )
        for stage in timeline.stages
    ]
    bars += [
        _Bar(
            "unattributed",
            start - began.time_ms,
            end - start,
            style.paper,
            style.unattributed_hatch,
            milliseconds(end - start),
        )
        for start, end in timeline.unattributed
    ]
    return sorted(bars, key=lambda bar: bar.start_ms)


def _draw(axes: Axes, bars: list[_Bar], timeline: Timeline, began: Moment, style: Look) -> None:
    beside: list[tuple[MomentName, float]] = [
        (name, timeline.moments[name].time_ms - began.time_ms) for name in timeline.beside
    ]
    end_ms = max([bar.start_ms + bar.duration_ms for bar in bars] + [1.0])
    latest = max([end_ms, *(min(at_ms, end_ms * FARTHEST) for _, at_ms in beside)])
    # Room at the right for the numbers of bars that end late.
    axes.set_xlim(min([0.0, *(at_ms for _, at_ms in beside), *(bar.start_ms for bar in bars)]), latest * 1.32)
    for row, bar in enumerate(bars):
        axes.barh(
            row,
            bar.duration_ms,
            left=bar.start_ms,
            height=0.66,
            color=bar.colour,
            edgecolor=style.ink if bar.hatch else edge_of(bar.colour, style),
            hatch=bar.hatch,
            linewidth=1.0,
            gid=bar.label,
        )
        _write(axes, bar.start_ms + bar.duration_ms, row, bar.words, style)
    for row, (_, at_ms) in enumerate(beside, start=len(bars)):
        shown_ms = min(at_ms, end_ms * FARTHEST)
        marker = ">" if shown_ms < at_ms else "D"
        axes.plot([shown_ms], [row], marker=marker, color=style.muted, markersize=style.text_pt * 0.6)
        _write(axes, shown_ms, row, f"at {milliseconds(at_ms)}", style)
    if timeline.voice_to_voice_ms is not None:
        axes.axvline(timeline.voice_to_voice_ms, color=style.ink, linewidth=1.2, linestyle="--", gid="voice to voice")
    labels = [bar.label for bar in bars] + [f"{name.replace('_', ' ')} (in parallel)" for name, _ in beside]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("ms after the user's last sound")


def _write(axes: Axes, at_ms: float, row: int, words: str, style: Look) -> None:
    axes.annotate(
        words,
        (at_ms, row),
        xytext=(0.5 * style.small_pt, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.small_pt,
        color=style.ink,
        bbox={"facecolor": style.paper, "edgecolor": "none", "pad": 1.0},
    )


def _handles(bars: list[_Bar], with_end: bool, style: Look) -> list[Patch | Line2D]:
    """Return a legend for the hatches only: bars are named on the axis."""
    names = {style.unattributed_hatch: "unattributed: no stage explains it", style.simulated_hatch: "simulated"}
    used = [hatch for hatch in names if any(bar.hatch == hatch for bar in bars)]
    end = Line2D([], [], color=style.ink, linewidth=1.2, linestyle="--", label="voice-to-voice")
    patches = [Patch(facecolor=style.paper, edgecolor=style.ink, hatch=hatch, label=names[hatch]) for hatch in used]
    return [*patches, end] if with_end else [*patches]


def _notes(timeline: Timeline) -> list[str]:
    notes = [f"Not believable: {flag}" for flag in timeline.flags]
    notes += [f"Not measured, {name.replace('_', ' ')}: {why}" for name, why in timeline.unmeasured.items()]
    if timeline.ends_at == "first_audible":
        notes.append("Ends when the first audible sample was due at the player; the loudspeaker's delay is not in it.")
    return notes


def _line(timeline: Timeline, provenance: Provenance | Session | str | None, machine: str, date: str) -> str:
    if isinstance(provenance, str):
        return provenance
    sources = {stage.source for stage in timeline.stages}
    simulated = ", ".join(provenance.simulated) if isinstance(provenance, Provenance) else ""
    if not simulated and "simulated" in sources:
        simulated = "stages marked so"
    known: dict[str, str] = {"engine": "", "model": "", "endpoint": ""}
    if isinstance(provenance, Provenance):
        known = {
            "engine": provenance.engine,
            "model": ", ".join(dict.fromkeys(provenance.models.values())),
            "endpoint": ", ".join(dict.fromkeys(provenance.endpoints.values())),
        }
    elif provenance is not None:
        known = {"engine": provenance.engine, "model": provenance.model, "endpoint": provenance.endpoint}
        machine, date = machine or this_machine(), date or now()[:10]
    known["machine"] = machine
    said = (f"{name}: {value or 'not recorded'}" for name, value in known.items())
    word = f"SIMULATED: {simulated}" if simulated else "measured"
    return " · ".join((word, *said, "n = 1 turn, no interval", date or "date not recorded"))
