"""What a turn costs, and a minute of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.figures.look import Line, Look, Size, Theme
from realtime_nb.studies.figures.names import name_lines, row_height_in
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page
from realtime_nb.studies.figures.source import begin, provenance_line
from realtime_nb.studies.rows import Row
from realtime_nb.studies.statistics import LEVEL, MIN_N

RESAMPLES = 2_000
INTERVAL = "95 % percentile bootstrap interval over turns"
MINUTE = "Per minute: cost of all turns ÷ minutes of answer audio in them."


class Cost(NamedTuple):
    """A mean cost with its interval, US dollars; None where too little is known."""

    usd: float | None
    low: float | None
    high: float | None
    n: int


def cost_per_turn(rows: Sequence[Row], seed: int = 0) -> Cost:
    """Return the mean cost of a turn: costs add up, so the mean and not the median is what one pays."""
    priced = [row.cost_usd for row in rows if row.cost_usd is not None]
    return _ratio(np.array(priced), np.ones(len(priced)), seed)


def cost_per_minute(rows: Sequence[Row], seed: int = 0) -> Cost:
    """Return the cost of a minute of answer audio."""
    known = [
        (row.cost_usd, row.answer_audio_ms / 60_000) for row in rows if row.cost_usd is not None and row.answer_audio_ms
    ]
    priced, minutes = (np.array(column) for column in zip(*known, strict=True)) if known else (np.zeros(0), np.zeros(0))
    return _ratio(priced, minutes, seed)


def _ratio(above: Any, below: Any, seed: int) -> Cost:
    n = len(above)
    if not n:
        return Cost(None, None, None, 0)
    value = float(above.sum() / below.sum())
    if n < MIN_N:
        return Cost(value, None, None, n)
    picks = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    ratios = above[picks].sum(axis=1) / below[picks].sum(axis=1)
    low, high = np.percentile(ratios, (50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)))
    return Cost(value, float(low), float(high), n)


def costs(source: Any, *, theme: Theme = "light", size: Size = "notebook") -> ProvenFigure:
    """Draw the cost of a turn and of a minute of answers, one bar a pipeline, with intervals.

    Failed turns cost, too, and are in it. Rows without a cost (offline engines, unknown prices) are counted.

    Args:
        source: a `Comparison`, its rows, or a DataFrame with the same columns.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no rows.
    """
    comparison, style, names, drawn = begin(source, theme, size)
    seed = comparison.provenance.seed
    figure, (left, right) = new_page(style, 2, columns=2)
    turns = {name: cost_per_turn(comparison.of(name), seed) for name in names}
    minutes = {name: cost_per_minute(comparison.of(name), seed) for name in names}
    _bars(left, turns, drawn, style)
    _bars(right, minutes, drawn, style)
    left.set_xlabel("US cents a turn")
    right.set_xlabel("US cents a minute of answers")
    labels = [f"{name_lines(name)}\nn = {turns[name].n}" for name in names]
    left.set_yticks(range(len(names)), labels)
    right.set_yticks(range(len(names)), [""] * len(names))
    ran = [row for row in comparison.rows if row.status != "missing"]
    priced = sum(row.cost_usd is not None for row in ran)
    sources = sorted({row.cost_source for row in ran if row.cost_source})
    unpriced = f"{len(ran) - priced} runs without a cost" if priced < len(ran) else "every run has a cost"
    return finish(
        figure,
        style,
        title="What it costs",
        subtitle=f"n = {priced} of {len(ran)} runs with a cost; {unpriced}",
        notes=[MINUTE, f"Prices: {'; '.join(sources) or 'no source given'}."],
        provenance=_line(comparison, sources),
        plot_in=row_height_in(labels, style, at_least=style.row_in * 1.7) * max(len(names), 2),
        columns=2,
        alt_text="Cost of a turn. " + "; ".join(f"{name}: {cents(turns[name].usd)}" for name in names),
    )


def _line(comparison: Comparison, sources: Sequence[str]) -> str:
    line = provenance_line(comparison, interval=INTERVAL)
    borrowed = any("simulated" in source for source in sources)
    return line.replace("measured", "SIMULATED: prices of other models", 1) if borrowed else line


def cents(usd: float | None) -> str:
    """Return dollars as cents, three digits."""
    return "no cost known" if usd is None else f"{100 * usd:.3g} ¢"


def _bars(axes: Axes, found: dict[str, Cost], drawn: dict[str, Line], style: Look) -> None:
    most = max([cost.high or cost.usd or 0.0 for cost in found.values()])
    # Room for the number behind the longest bar.
    axes.set_xlim(0, most * 100 * 1.45 or 1.0)
    for place, (name, cost) in enumerate(found.items()):
        end = 0.0
        if cost.usd is not None:
            axes.barh(place, 100 * cost.usd, height=0.5, color=drawn[name].colour, edgecolor=style.ink, gid=name)
            end = 100 * cost.usd
        if cost.low is not None and cost.high is not None:
            axes.plot([100 * cost.low, 100 * cost.high], [place] * 2, color=style.ink, linewidth=style.line_pt)
            end = 100 * cost.high
        axes.annotate(
            cents(cost.usd),
            (end, place),
            xytext=(0.5 * style.small_pt, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.small_pt,
            color=style.ink,
        )
    axes.set_ylim(len(found) - 0.5, -0.5)
