"""Names of pipelines and clips, short enough for where they stand."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from realtime_nb.studies.figures.look import Look

AXIS_LETTERS = 22
AXIS_LINES = 3
LINE_LETTERS = 36


def name_lines(name: str) -> str:
    """Return a name in lines short enough for an axis; three at most, the end of a longer one cut with "…"."""
    lines = textwrap.wrap(name, AXIS_LETTERS) or [name]
    if len(lines) > AXIS_LINES:
        lines = [*lines[: AXIS_LINES - 1], lines[AXIS_LINES - 1][: AXIS_LETTERS - 1] + "…"]
    return "\n".join(lines)


def row_height_in(labels: Iterable[str], style: Look, *, at_least: float) -> float:
    """Return how high a row must be, in inches, for its label of several lines not to touch the next one."""
    lines = max(label.count("\n") + 1 for label in labels)
    return max(at_least, (lines * 1.25 + 0.4) * style.small_pt / 72)


def short_name(name: str) -> str:
    """Return a name short enough for a headline or a legend."""
    return name if len(name) <= LINE_LETTERS else name[: LINE_LETTERS - 1].rstrip() + "…"
