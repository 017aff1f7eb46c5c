"""Two pipelines on the same clips: the difference of every pair, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.figures.look import Look, Size, Theme, look, milliseconds
from realtime_nb.studies.figures.names import name_lines, row_height_in, short_name
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page
from realtime_nb.studies.figures.source import comparison_of, counted, median_of, mixed, provenance_line
from realtime_nb.studies.statistics import Estimate

SLOWER, FASTER = "#D55E00", "#0072B2"
SPREAD = 0.5
"""Repeats of one clip are spread over this share of its row, in the order of the repeats: no random jitter."""


def paired_differences(
    source: Any, first: str, second: str, *, theme: Theme = "light", size: Size = "notebook"
) -> ProvenFigure:
    """Draw first - second for every pair (same clip, same repeat), and the median of the differences.

    Args:
        source: a `Comparison`, its rows, or a DataFrame with the same columns.
        first: a pipeline.
        second: the one it is compared with.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: no such pipeline, or not one pair that both answered.
    """
    comparison, style = comparison_of(source), look(theme, size)
    pairs = comparison.pairs(first, second)
    if not pairs:
        raise ConfigurationError(
            f"There is no clip that both {first} and {second} answered.", what_now="Look at the rows' missing() table."
        )
    gaps = [(one.clip, (one.measured_ms or 0.0) - (other.measured_ms or 0.0)) for one, other in pairs]
    clips = [clip for clip in comparison.clips if any(own == clip for own, _ in gaps)]
    middle = median_of([gap for _, gap in gaps], comparison.provenance.seed)
    figure, (axes,) = new_page(style)
    for place, clip in enumerate(clips):
        _dots(axes, place, [gap for own, gap in gaps if own == clip], style)
    said = f"{_middle(axes, middle, style)}, {len(pairs)} pairs"
    axes.set_yticks(range(len(clips)), [name_lines(clip) for clip in clips])
    axes.set_ylim(len(clips) - 0.5, -0.5)
    axes.margins(x=0.08)
    one, other = short_name(first), short_name(second)
    separator = "\n" if len(one + other) > 40 else " "
    axes.set_xlabel(f"{one} − {other},{separator}ms of voice-to-voice")
    rows = [*comparison.of(first), *comparison.of(second)]
    row_in = row_height_in(map(name_lines, clips), style, at_least=style.row_in)
    return finish(
        figure,
        style,
        title=f"{one} against {other}, pair by pair",
        subtitle=f"{said}\n{counted(rows)}; {_unpaired(len(pairs), len(rows))}",
        notes=mixed(comparison),
        handles=_handles(one, middle.low is not None, style),
        provenance=provenance_line(comparison, interval="95 % bootstrap interval of the median difference"),
        plot_in=row_in * max(len(clips), 3),
        alt_text=f"Differences of {first} and {second} on {len(clips)} clips: {said}.",
    )


def _dots(axes: Axes, place: int, gaps: Sequence[float], style: Look) -> None:
    for index, gap in enumerate(gaps):
        shift = SPREAD * (index / (len(gaps) - 1) - 0.5) if len(gaps) > 1 else 0.0
        axes.plot(
            [gap],
            [place + shift],
            marker="o" if gap > 0 else "s",
            color=SLOWER if gap > 0 else FASTER,
            markeredgecolor=style.ink,
            markeredgewidth=0.5,
            markersize=style.text_pt * 0.6,
            linestyle="none",
            gid="pair",
        )


def _middle(axes: Axes, middle: Estimate, style: Look) -> str:
    """Mark zero, the median and its interval; return them in words."""
    assert middle.value is not None
    axes.axvline(0, color=style.ink, linewidth=1.0)
    axes.axvline(middle.value, color=style.ink, linestyle="--", linewidth=style.line_pt, gid="median")
    words = f"median difference {milliseconds(middle.value)}"
    if middle.low is None or middle.high is None:
        return f"{words} ({middle.note})"
    axes.axvspan(middle.low, middle.high, color=style.band, zorder=0, linewidth=0, gid="interval")
    return f"{words} (95 % interval {middle.low:,.0f} to {middle.high:,.0f} ms)"


def _handles(first: str, with_interval: bool, style: Look) -> list[Line2D | Patch]:
    def dot(marker: str, colour: str, label: str) -> Line2D:
        size = style.text_pt * 0.6
        return Line2D(
            [],
            [],
            marker=marker,
            color=colour,
            markeredgecolor=style.ink,
            markersize=size,
            linestyle="none",
            label=label,
        )

    interval = [Patch(facecolor=style.band, edgecolor=style.muted, label="its interval")] if with_interval else []
    return [
        dot("o", SLOWER, f"{first} slower"),
        dot("s", FASTER, f"{first} faster"),
        Line2D([], [], color=style.ink, linestyle="--", linewidth=style.line_pt, label="median difference"),
        *interval,
    ]


def _unpaired(n_pairs: int, n_rows: int) -> str:
    alone = n_rows - 2 * n_pairs
    return f"{alone} runs without a partner" if alone else "every run has its partner"
