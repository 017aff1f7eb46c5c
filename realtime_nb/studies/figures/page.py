"""A page around the axes: headline, counts, legend, notes and the provenance line, laid out by measured text.

Nothing here touches matplotlib's global state (`pyplot`, `rcParams`), so figures can be made in any thread, with or
without a display.
"""

from __future__ import annotations

import base64
import functools
import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from realtime_nb.studies.figures.look import Look

LINE_SPACING = 1.25
_BEFORE_UNIT = re.compile(r"(\d) (ms|%|runs|turn|pairs|cores)\b")
_SIMULATED = re.compile(r"(PARTLY )?SIMULATED")
PASSES = 2
"""Ticks change with the size of the axes, and that size with the ticks' labels: two rounds settle it."""


class ProvenFigure(Figure):
    """A matplotlib figure that carries its provenance and describes itself to those who do not see it.

    Attributes:
        alt_text: what it shows, in a sentence or two.
        provenance: the line below it.
    """

    alt_text: str = ""
    provenance: str = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", facecolor=self.get_facecolor())
        data = base64.b64encode(buffer.getvalue()).decode()
        width = round(self.get_figwidth() * self.dpi)
        text = f"{self.alt_text} ({self.provenance})"
        image = f'<img alt="{escape(text, quote=True)}" width="{width}" src="data:image/png;base64,{data}"'
        return {
            "text/plain": text,
            "image/png": data,
            "text/html": f'{image} style="max-width:100%;height:auto">',
        }


def describe(figure: Figure) -> str:
    """Return what a figure shows, in words, for `alt=` and for readers who do not see it."""
    return figure.alt_text if isinstance(figure, ProvenFigure) else ""


def new_page(look: Look, n_axes: int = 1, *, columns: int = 1) -> tuple[ProvenFigure, list[Axes]]:
    """Return a figure with bare axes in the look's colours, row by row."""
    figure = ProvenFigure(figsize=(look.width_in, look.plot_in * n_axes), dpi=look.dpi, facecolor=look.paper)
    FigureCanvasAgg(figure)
    rows = -(-n_axes // columns)
    grid = [figure.add_subplot(rows, columns, index + 1) for index in range(n_axes)]
    for axes in grid:
        _dress(axes, look)
    return figure, grid


def _dress(axes: Axes, look: Look) -> None:
    axes.set_facecolor(look.paper)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(look.muted)
    axes.tick_params(colors=look.ink, labelsize=look.small_pt, width=0.8, color=look.muted)
    axes.xaxis.label.set(color=look.ink, fontsize=look.text_pt)
    axes.yaxis.label.set(color=look.ink, fontsize=look.text_pt)
    axes.set_axisbelow(True)
    axes.grid(True, axis="x", color=look.grid, linewidth=0.8)
    axes.title.set(color=look.ink, fontsize=look.text_pt)


def finish(
    figure: ProvenFigure,
    look: Look,
    *,
    title: str,
    subtitle: str = "",
    provenance: str,
    notes: Sequence[str] = (),
    handles: Sequence[Artist] = (),
    plot_in: float | None = None,
    columns: int = 1,
    alt_text: str = "",
) -> ProvenFigure:
    """Put everything in its place and return the figure.

    Args:
        figure: with its axes drawn.
        look: its look.
        title: the headline; it says "simulated" where the provenance does.
        subtitle: what is in it: n, and what is left out.
        provenance: the line below.
        notes: more lines above that one.
        handles: for the legend, with labels.
        plot_in: height of one row of axes, in inches.
        columns: axes side by side.
        alt_text: in words; the title and subtitle when left out.
    """
    simulated = _SIMULATED.match(provenance)
    if simulated is not None:
        title = f"{title} ({simulated[0].lower()})"
    figure.alt_text = alt_text or f"{title}. {subtitle}"
    figure.provenance = provenance
    above = [
        _put(figure, title, look.title_pt, look.ink, "title", weight="bold"),
        _put(figure, subtitle, look.text_pt, look.muted, "subtitle"),
        _legend(figure, look, handles),
    ]
    below = [
        *(_put(figure, note, look.small_pt, look.muted, "note") for note in notes),
        _put(figure, provenance, look.small_pt, look.muted, "provenance"),
    ]
    _lay_out(figure, look, [a for a in above if a], [a for a in below if a], plot_in or look.plot_in, columns)
    return figure


def wrapped(text: str, size_pt: float, width_px: float, dpi: float, weight: str = "normal") -> str:
    """Return text broken into lines that fit, by the widths of its letters; long words are left whole."""
    renderer = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=dpi)).get_renderer()
    font = FontProperties(size=size_pt, weight=weight)

    @functools.cache
    def width(word: str) -> float:
        return renderer.get_text_width_height_descent(word, font, ismath=False)[0]

    lines: list[str] = []
    for paragraph in text.split("\n"):
        line, filled = "", 0.0
        # Not `split()`: no-break spaces hold "n = 79" together.
        for word in _BEFORE_UNIT.sub("\\1\u00a0\\2", paragraph).replace("n = ", "n\u00a0=\u00a0").split(" "):
            filled += width("n n") - 2 * width("n") + width(word)
            if line and filled > width_px:
                lines.append(line)
                line, filled = word, width(word)
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return "\n".join(lines)


def _put(figure: Figure, text: str, size_pt: float, colour: str, gid: str, weight: str = "normal") -> Text | None:
    if not text:
        return None
    width_px = figure.get_figwidth() * figure.dpi - 2 * size_pt * figure.dpi / 72
    return figure.text(
        0,
        0,
        wrapped(text, size_pt, width_px, figure.dpi, weight),
        fontsize=size_pt,
        color=colour,
        weight=weight,
        linespacing=LINE_SPACING,
        va="top",
        parse_math=False,
        gid=gid,
    )


def _legend(figure: Figure, look: Look, handles: Sequence[Artist]) -> Legend | None:
    if not handles:
        return None
    width_px = figure.get_figwidth() * figure.dpi - 2 * look.text_pt * figure.dpi / 72
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(
            handles=list(handles),
            ncols=columns,
            loc="upper left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            fontsize=look.small_pt,
            labelcolor=look.ink,
            borderpad=0,
            borderaxespad=0,
            handlelength=2.2,
            columnspacing=1.4,
        )
        if legend.get_window_extent().width <= width_px or columns == 1:
            return legend
        legend.remove()
    return None


def _lay_out(
    figure: Figure, look: Look, above: list[Text | Legend], below: list[Text], plot_in: float, columns: int
) -> None:
    dpi = figure.dpi
    gap, pad = 0.6 * look.text_pt * dpi / 72, look.text_pt * dpi / 72
    width, plot = figure.get_figwidth() * dpi, plot_in * dpi
    between = 3 * gap
    rows = -(-len(figure.axes) // columns)
    head = pad + sum(_height(part) + gap for part in above)
    foot = pad + sum(_height(part) + gap for part in below)
    for _ in range(PASSES):
        lefts, rights, tops, bottoms = _overhangs(figure.axes, columns)
        axes_height = sum(tops) + sum(bottoms) + rows * plot + (rows - 1) * gap
        height = head + axes_height + foot
        figure.set_size_inches(width / dpi, height / dpi)
        inner = (width - 2 * pad - sum(lefts) - sum(rights) - (columns - 1) * between) / columns
        for index, axes in enumerate(figure.axes):
            row, column = divmod(index, columns)
            left = pad + sum(lefts[: column + 1]) + sum(rights[:column]) + column * (inner + between)
            top = head + sum(tops[: row + 1]) + sum(bottoms[:row]) + row * (plot + gap)
            box = Bbox.from_bounds(left / width, 1 - (top + plot) / height, inner / width, plot / height)
            axes.set_position(box)
    _stack(above, pad, pad, gap, width, height)
    _stack(below, pad, height - foot + gap, gap, width, height)


def _stack(parts: Sequence[Text | Legend], left: float, top: float, gap: float, width: float, height: float) -> None:
    for part in parts:
        place = (left / width, 1 - top / height)
        tall = _height(part)
        if isinstance(part, Text):
            part.set_position(place)
        else:
            part.set_bbox_to_anchor(place)
        top += tall + gap


def _height(part: Text | Legend) -> float:
    return float(part.get_window_extent().height)


def _overhangs(grid: Sequence[Axes], columns: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Return what sticks out of the axes, in pixels: left and right by column, top and bottom by row."""
    rows = -(-len(grid) // columns)
    out = np.zeros((rows, columns, 4))
    for index, axes in enumerate(grid):
        whole, inside = axes.get_tightbbox(), axes.get_window_extent()
        if whole is not None:
            sides = (inside.x0 - whole.x0, whole.x1 - inside.x1, whole.y1 - inside.y1, inside.y0 - whole.y0)
            out[divmod(index, columns)] = np.maximum(sides, 0)
    by_column, by_row = out.max(axis=0), out.max(axis=1)
    return (*(by_column[:, side].tolist() for side in (0, 1)), *(by_row[:, side].tolist() for side in (2, 3)))
