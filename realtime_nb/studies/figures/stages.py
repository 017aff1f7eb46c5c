"""Where the time goes, pipeline by pipeline: the medians of the stages, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from realtime_nb.studies.figures.look import (
    STAGE_WORDS,
    Look,
    Size,
    Theme,
    edge_of,
    ink_on,
    milliseconds,
)
from realtime_nb.studies.figures.names import name_lines, row_height_in
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page
from realtime_nb.studies.figures.source import (
    begin,
    counted,
    measured,
    median_of,
    provenance_line,
)
from realtime_nb.studies.rows import Row
from realtime_nb.studies.statistics import Estimate
from realtime_nb.timing.marks import STAGE_NAMES
from realtime_nb.timing.stage_colours import STAGE_COLOURS

UNATTRIBUTED = "unattributed"
ADDS_UP = (
    "Medians of stages need not add up to the median of the whole: the diamond is the measured median of "
    "voice-to-voice, with its interval."
)


def stage_medians(source: Any, *, theme: Theme = "light", size: Size = "notebook") -> ProvenFigure:
    """Draw the median of every stage, stacked, one bar a pipeline, with the median of the whole beside it.

    Args:
        source: a `Comparison`, its rows, or a DataFrame with the same columns.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no rows.
    """
    comparison, style, names, _ = begin(source, theme, size)
    figure, (axes,) = new_page(style)
    usable = {name: [row for row in comparison.of(name) if row.measured_ms is not None] for name in names}
    wholes = {name: median_of(measured(rows), comparison.provenance.seed) for name, rows in usable.items()}
    stacks = {name: stage_values(rows) for name, rows in usable.items()}
    longest = max([sum(stack.values()) for stack in stacks.values()] + [_reach(whole) for whole in wholes.values()])
    axes.set_xlim(0, max(longest, 1.0) * 1.25)
    for place, name in enumerate(names):
        simulated = any(row.simulated for row in usable[name])
        _stack(axes, place, stacks[name], style, simulated)
        _whole(axes, place, wholes[name], style)
    labels = [f"{name_lines(name)}\nn = {len(usable[name])} of {len(comparison.of(name))}" for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("median, ms after the user's last sound")
    used = [stage for stage in (*STAGE_NAMES, UNATTRIBUTED) if any(stage in stack for stack in stacks.values())]
    any_simulated = any(row.simulated for rows in usable.values() for row in rows)
    return finish(
        figure,
        style,
        title="Where the time goes",
        subtitle=counted(comparison.rows),
        notes=[ADDS_UP, *_partial(usable), *_no_interval(wholes)],
        handles=_handles(used, style, any_simulated),
        provenance=provenance_line(comparison, interval="95 % bootstrap interval of the median"),
        plot_in=row_height_in(labels, style, at_least=style.row_in * 2.2) * len(names),
        alt_text="Stacked medians of stages. "
        + "; ".join(f"{name}: " + _said(wholes[name], stacks[name]) for name in names),
    )


def stage_values(rows: Sequence[Row]) -> dict[str, float]:
    """Return the median of every stage over the rows that have it, and of what is unattributed, in order."""
    found: dict[str, float] = {}
    for stage in STAGE_NAMES:
        values = [value for row in rows if (value := row.stage_ms(stage)) is not None]
        if values:
            found[stage] = float(np.median(values))
    rest = float(np.median([row.unattributed_ms or 0.0 for row in rows])) if rows else 0.0
    return found | ({UNATTRIBUTED: rest} if rest > 0 else {})


def _stack(axes: Axes, place: int, stack: dict[str, float], style: Look, simulated: bool) -> None:
    left = 0.0
    pixels_per_ms = axes.get_window_extent().width / axes.get_xlim()[1]
    for stage, duration_ms in stack.items():
        plain = stage == UNATTRIBUTED
        colour = style.paper if plain else STAGE_COLOURS[stage]
        axes.barh(
            place,
            duration_ms,
            left=left,
            height=0.54,
            color=colour,
            edgecolor=style.ink if plain else edge_of(colour, style),
            hatch=style.unattributed_hatch if plain else style.simulated_hatch if simulated else "",
            linewidth=0.8,
            gid=stage,
        )
        words = f"{duration_ms:,.0f}"
        room = duration_ms * pixels_per_ms * 0.8
        if not plain and len(words) * style.small_pt * 0.85 * style.dpi / 72 < room:
            axes.text(
                left + duration_ms / 2,
                place,
                words,
                ha="center",
                va="center",
                fontsize=style.small_pt,
                color=ink_on(colour),
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5} if simulated else None,
            )
        left += duration_ms


def _whole(axes: Axes, place: int, whole: Estimate, style: Look) -> None:
    """Mark the median of the whole in the gap below the bar, so that it hides no stage."""
    at = place + 0.4
    if whole.value is None:
        axes.text(0, place, " nothing was measured", va="center", fontsize=style.small_pt, color=style.ink)
        return
    if whole.low is not None and whole.high is not None:
        axes.plot([whole.low, whole.high], [at, at], color=style.ink, linewidth=style.line_pt, gid="interval")
    marker = style.text_pt * 0.6
    axes.plot([whole.value], [at], marker="D", color=style.ink, markersize=marker, linestyle="none", gid="whole")
    axes.annotate(
        milliseconds(whole.value),
        (_reach(whole), at),
        xytext=(marker, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.small_pt,
        color=style.ink,
    )


def _reach(whole: Estimate) -> float:
    return max(whole.value or 0.0, whole.high or 0.0)


def _handles(used: Sequence[str], style: Look, simulated: bool) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = []
    for stage in used:
        if stage == UNATTRIBUTED:
            handles.append(
                Patch(facecolor=style.paper, edgecolor=style.ink, hatch=style.unattributed_hatch, label=stage)
            )
        else:
            colour, words = STAGE_COLOURS[stage], STAGE_WORDS[stage]  # type: ignore[index]
            handles.append(Patch(facecolor=colour, edgecolor=style.muted, label=words))
    if simulated:
        handles.append(
            Patch(facecolor=style.paper, edgecolor=style.ink, hatch=style.simulated_hatch, label="simulated")
        )
    size = style.text_pt * 0.6
    diamond = Line2D(
        [], [], color=style.ink, marker="D", markersize=size, linewidth=style.line_pt, label="voice-to-voice"
    )
    return [*handles, diamond]


def _partial(usable: dict[str, list[Row]]) -> list[str]:
    """Say which stages not every row of a pipeline has: tools that were not used, transcripts that came beside."""
    parts = []
    for name, rows in usable.items():
        for stage in STAGE_NAMES:
            have = sum(row.stage_ms(stage) is not None for row in rows)
            if 0 < have < len(rows):
                parts.append(f"{name}, {STAGE_WORDS[stage]}: {have} of {len(rows)} runs")
    return [f"Medians over the runs that have the stage: {'; '.join(parts)}."] if parts else []


def _no_interval(wholes: dict[str, Estimate]) -> list[str]:
    reasons = {whole.note for whole in wholes.values() if whole.value is not None and whole.low is None}
    return [f"Without interval: {'; '.join(sorted(reasons))}."] if reasons else []


def _said(whole: Estimate, stack: dict[str, float]) -> str:
    if whole.value is None:
        return "nothing was measured"
    longest = max(stack, key=lambda stage: stack[stage]) if stack else "no stage"
    words = {**STAGE_WORDS}.get(longest, longest)  # type: ignore[call-overload]
    return f"median {milliseconds(whole.value)}, longest stage {words}"
