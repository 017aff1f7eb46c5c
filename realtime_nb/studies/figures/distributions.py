"""The whole distribution: how often an answer comes within so many ms, and how that compares with people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.figures.look import Line, Look, Size, Theme, milliseconds
from realtime_nb.studies.figures.names import short_name
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page
from realtime_nb.studies.figures.source import begin, counted, measured, provenance_line
from realtime_nb.studies.statistics import percentile

HUMAN_MODE_MS = (0.0, 200.0)
HUMAN_MEAN_MS = 208.0
HUMAN_SOURCE = (
    "Human gaps, published: in ten languages the most frequent gap between question and answer lies between 0 and "
    "200 ms, mean 208 ms (Stivers et al. 2009, PNAS 106:10587)."
)
LEVEL = 0.95
BAND = "95 % band, from the first to the last value: Dvoretzky-Kiefer-Wolfowitz (Massart 1990)"
MAX_BINS = 40

Floats = npt.NDArray[np.float64]


def band_half_width(n: int, level: float = LEVEL) -> float:
    """Return the half width of the DKW band: with the given chance the whole true curve lies within it."""
    return math.sqrt(math.log(2 / (1 - level)) / (2 * n))


def ecdf(source: Any, *, theme: Theme = "light", size: Size = "notebook") -> ProvenFigure:
    """Draw, per pipeline, the share of answers that came within a time, with a band that holds the whole curve.

    Args:
        source: a `Comparison`, its rows, or a DataFrame with the same columns.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no rows.
    """
    comparison, style, names, drawn = begin(source, theme, size)
    figure, (axes,) = new_page(style)
    values = {name: np.sort(measured(comparison.of(name))) for name in names}
    latest = max((float(each[-1]) for each in values.values() if len(each)), default=1.0)
    for name, each in values.items():
        if len(each):
            _curve(axes, name, each, drawn[name], latest * 1.05, style)
    axes.set_xlim(0, latest * 1.05)
    axes.set_ylim(0, 1.02)
    axes.set_yticks(np.linspace(0, 1, 5), ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(True, axis="y", color=style.grid, linewidth=0.8)
    axes.set_xlabel("voice-to-voice, ms")
    axes.set_ylabel("answered within")
    return finish(
        figure,
        style,
        title="How long until the answer is heard",
        subtitle=counted(comparison.rows),
        handles=_line_handles(comparison, drawn, values, style),
        provenance=provenance_line(comparison, interval=BAND),
        alt_text="Share of answers over time. "
        + "; ".join(f"{name}: " + _percentiles(values[name].tolist()) for name in names),
    )


def _curve(axes: Axes, name: str, values: Floats, line: Line, end_ms: float, style: Look) -> None:
    n = len(values)
    times = np.concatenate(([0.0], values, [end_ms]))
    share = np.concatenate(([0.0], np.arange(1, n + 1) / n, [1.0]))
    half = band_half_width(n)
    low, high = np.clip(share - half, 0, 1), np.clip(share + half, 0, 1)
    # Outside the values the band is known, too, and only makes four pipelines hard to tell apart.
    axes.fill_between(
        times[1:-1], low[1:-1], high[1:-1], step="post", color=line.colour, alpha=0.16, linewidth=0, gid=f"band {name}"
    )
    axes.step(times, share, where="post", color=line.colour, linestyle=line.dashes, linewidth=style.line_pt, gid=name)
    middle = float(np.median(values))
    size = style.text_pt * 0.7
    axes.plot([middle], [0.5], marker=line.marker, color=line.colour, markersize=size, markeredgecolor=style.ink)


def _line_handles(
    comparison: Comparison, drawn: dict[str, Line], values: dict[str, Floats], style: Look
) -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=drawn[name].colour,
            linestyle=drawn[name].dashes,
            marker=drawn[name].marker,
            markersize=style.text_pt * 0.7,
            linewidth=style.line_pt,
            label=f"{short_name(name)} (n = {len(values[name])} of {len(comparison.of(name))})",
        )
        for name in comparison.pipelines
    ]


def turn_gaps(source: Any, *, theme: Theme = "light", size: Size = "notebook") -> ProvenFigure:
    """Draw histograms of the gap between question and answer, one a pipeline, against what people do.

    Args:
        source: a `Comparison`, its rows, or a DataFrame with the same columns.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no rows.
    """
    comparison, style, names, drawn = begin(source, theme, size)
    values = {name: measured(comparison.of(name)) for name in names}
    edges = bin_edges([value for each in values.values() for value in each])
    figure, grid = new_page(style, len(names))
    tallest = max([int(np.histogram(each, edges)[0].max()) for each in values.values()] + [1])
    for axes, name in zip(grid, names, strict=True):
        _histogram(axes, values[name], edges, drawn[name], style)
        axes.set_ylim(0, tallest * 1.08)
        axes.set_title(
            f"{short_name(name)}: {_percentiles(values[name])}", loc="left", fontsize=style.small_pt, color=style.ink
        )
        axes.tick_params(labelbottom=axes is grid[-1])
    grid[-1].set_xlabel("gap between the user's last and the answer's first sound, ms")
    middle = grid[len(grid) // 2]
    middle.set_ylabel("turns")
    human = Patch(facecolor=style.band, edgecolor=style.muted, label="people: most frequent gap (published)")
    mean = Line2D([], [], color=style.ink, linestyle=":", linewidth=style.line_pt, label="people: mean (published)")
    return finish(
        figure,
        style,
        title="Gaps between turns, next to people's",
        subtitle=counted(comparison.rows),
        notes=[HUMAN_SOURCE],
        handles=[human, mean],
        provenance=provenance_line(comparison, interval="counts, no interval"),
        plot_in=style.plot_in * (0.75 if len(names) == 1 else 0.36),
        alt_text="Histograms of gaps between turns; people's most frequent gap is 0 to 200 ms. "
        + "; ".join(f"{name}: {_percentiles(values[name])}" for name in names),
    )


def bin_edges(values: Sequence[float]) -> Floats:
    """Return edges from 0 (or below) past the last value: 50 ms wide, doubled until there are at most 40 bins."""
    low, high = min([0.0, *values]), max([HUMAN_MODE_MS[1] * 2, *values])
    width = 50.0
    while (high - low) / width > MAX_BINS:
        width *= 2
    first = math.floor(low / width)
    return np.arange(first, math.floor(high / width) + 2, dtype=np.float64) * width


def _histogram(axes: Axes, values: Sequence[float], edges: Floats, line: Line, style: Look) -> None:
    axes.axvspan(*HUMAN_MODE_MS, color=style.band, linewidth=0, gid="human mode", zorder=0)
    axes.axvline(HUMAN_MEAN_MS, color=style.ink, linestyle=":", linewidth=style.line_pt, gid="human mean")
    axes.hist(values, bins=edges.tolist(), color=line.colour, edgecolor=style.paper, linewidth=0.6)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _percentiles(values: Sequence[float]) -> str:
    middle, late = percentile(values, 50), percentile(values, 90)
    if middle is None or late is None:
        return "nothing was measured"
    return f"median {milliseconds(middle)}, 90th percentile {milliseconds(late)}, n = {len(values)}"
