"""Timelines as plain SVG and HTML: no script, no kernel, the same in a notebook, in an export and on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from realtime_nb.timing.stage_colours import STAGE_COLOURS
from realtime_nb.widgets.timeline_rows import MomentRow, SpanRow, TimelineRow, in_ms

__all__ = ["bars_svg", "length_ms", "waterfall_html"]

GREY = "#8a929b"
WIDTH = 720
LABEL = 150
VALUE = 100
ROW = 22
TRACK = WIDTH - LABEL - VALUE
MAX_TICKS = 6
HATCH = (
    '<defs><pattern id="rnb-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="2" height="6" fill="{GREY}"/></pattern></defs>'
)


def length_ms(row: TimelineRow) -> float:
    """Return how long an axis must be for a turn."""
    ends = [span.end_ms for span in row.spans] + [moment.time_ms or 0.0 for moment in row.moments]
    return max([1.0, *ends]) * 1.02


def waterfall_html(row: TimelineRow) -> str:
    """Return one turn: headline, a picture of its stages, and the same as a table."""
    beside = [moment for moment in row.moments if moment.beside]
    scale_ms = length_ms(row)
    lines = [_span_line(span, index, scale_ms) for index, span in enumerate(row.spans)]
    lines += [_moment_line(moment, len(row.spans) + index, scale_ms) for index, moment in enumerate(beside)]
    flags = "".join(f"<p><b>Not believable:</b> {escape(flag)}</p>" for flag in row.flags)
    made_by = escape(" · ".join(part for part in (row.made_by, *row.simulated) if part))
    picture = _svg(len(lines), lines, scale_ms, f"{row.title}. {row.headline}") if lines else ""
    return (
        f'<div style="max-width:{WIDTH}px"><p><b>{escape(row.title)}</b>: {escape(row.headline)}</p>{flags}{picture}'
        f'<p style="opacity:.8;font-size:.9em">{made_by}</p>'
        f"<details><summary>as a table</summary>{_table(row)}</details></div>"
    )


def bars_svg(rows: Sequence[tuple[str, TimelineRow | None, str]], *, name: str) -> str:
    """Return turns as one bar each on one axis.

    Args:
        rows: label, turn (None draws no bar), and what is written at the end of the line.
        name: what the picture shows, for those who do not see it.
    """
    scale_ms = max([1.0, *(length_ms(row) for _, row, _ in rows if row is not None)])
    lines = []
    for index, (label, row, value) in enumerate(rows):
        bars = "".join(_bar(span, index, scale_ms) for span in row.spans) if row is not None else ""
        lines.append(_texts(label, value, index) + bars)
    said = "; ".join(f"{label}: {value}" for label, _, value in rows)
    return _svg(len(rows), lines, scale_ms, f"{name}. {said}")


def _svg(n_lines: int, lines: Sequence[str], scale_ms: float, name: str) -> str:
    height = (n_lines + 1) * ROW
    label = escape(name, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" style="max-width:100%;height:auto;display:block;font:13px system-ui,sans-serif">'
        f"<title>{label}</title>{HATCH}{_axis(scale_ms, n_lines)}{''.join(lines)}</svg>"
    )


def _axis(scale_ms: float, n_lines: int) -> str:
    step_ms = _step_ms(scale_ms)
    marks = []
    for count in range(int(scale_ms // step_ms) + 1):
        x = LABEL + count * step_ms / scale_ms * TRACK
        words = f"{count * step_ms:g} ms" if count else "0"
        marks.append(
            f'<path d="M{x:.1f} 0V{n_lines * ROW}" stroke="currentColor" stroke-opacity=".15"/>'
            f'<text x="{x:.1f}" y="{n_lines * ROW + 15}" text-anchor="{"middle" if count else "start"}" '
            f'fill="currentColor" fill-opacity=".7" font-size="11">{words}</text>'
        )
    return "".join(marks)


def _step_ms(scale_ms: float) -> float:
    rough = scale_ms / MAX_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)


def _span_line(span: SpanRow, index: int, scale_ms: float) -> str:
    return _texts(span.label, in_ms(span.end_ms - span.start_ms, span.error_ms), index) + _bar(span, index, scale_ms)


def _moment_line(moment: MomentRow, index: int, scale_ms: float) -> str:
    at_ms = moment.time_ms or 0.0
    x, y = LABEL + at_ms / scale_ms * TRACK, index * ROW + ROW / 2
    title = f"<title>{escape(f'{moment.label}, beside the others: {moment.what}')}</title>"
    diamond = f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" fill="{GREY}">{title}</path>'
    return _texts(f"{moment.label} (beside)", f"at {in_ms(at_ms)}", index) + diamond


def _texts(label: str, value: str, index: int) -> str:
    y = index * ROW + 15
    return (
        f'<text x="0" y="{y}" fill="currentColor">{escape(label)}</text>'
        f'<text x="{WIDTH}" y="{y}" text-anchor="end" fill="currentColor">{escape(value)}</text>'
    )


def _bar(span: SpanRow, index: int, scale_ms: float) -> str:
    left, right = (max(0.0, min(at_ms, scale_ms)) / scale_ms * TRACK for at_ms in (span.start_ms, span.end_ms))
    fill = STAGE_COLOURS.get(span.name, "url(#rnb-hatch)")
    title = escape(f"{span.label}, {in_ms(span.end_ms - span.start_ms, span.error_ms)}: {span.what}")
    return (
        f'<rect x="{LABEL + left:.1f}" y="{index * ROW + 3}" width="{max(1.5, right - left):.1f}" height="{ROW - 6}" '
        f'fill="{fill}" stroke="{GREY}" stroke-width=".75"><title>{title}</title></rect>'
    )


def _table(row: TimelineRow) -> str:
    lines = [
        (span.label, span.what, in_ms(span.start_ms), in_ms(span.end_ms - span.start_ms, span.error_ms), span.source)
        for span in row.spans
    ]
    for moment in row.moments:
        if moment.beside and moment.time_ms is not None:
            at = in_ms(moment.time_ms, moment.error_ms)
            lines.append((moment.label, f"{moment.what}; beside the others", at, "—", moment.source))
        elif moment.time_ms is None:
            lines.append((moment.label, moment.what, "—", "—", f"not measured: {moment.why}"))
    head = "".join(f'<th scope="col">{name}</th>' for name in ("stage", "what it is", "from", "took", ""))
    cells = ("".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in line) for line in lines)
    body = "".join(f"<tr>{line}</tr>" for line in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
