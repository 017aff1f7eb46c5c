"""Rows of whatever has timelines: a timeline, a turn, a recording, or many of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from realtime_nb.errors import ConfigurationError
from realtime_nb.timing.marks import Timeline
from realtime_nb.widgets.timeline_rows import ROUTE_TITLES, TimelineRow, timeline_row

__all__ = ["made_by_words", "rows_of", "turn_row", "unsaid"]

MAX_TITLE_CHARACTERS = 60


def rows_of(source: Any) -> list[TimelineRow]:
    """Return the rows of a timeline, a turn, a recording, or an iterable of timelines and turns.

    Raises:
        ConfigurationError: it has no timeline.
    """
    if isinstance(source, Timeline):
        return [timeline_row(source)]
    if hasattr(source, "timeline"):
        return [turn_row(source)]
    if callable(getattr(source, "timelines", None)):
        return [row for found in source.timelines() for row in rows_of(found)]
    if callable(getattr(source, "turns", None)):
        return [turn_row(turn) for turn in source.turns()]
    if isinstance(source, Iterable):
        return [row for each in source for row in rows_of(each)]
    raise ConfigurationError(
        f"A {type(source).__name__} has no timeline.",
        what_now="Give a timeline, a turn, a list of them, a session, or a Recording.",
    )


def turn_row(turn: Any) -> TimelineRow:
    """Return the row of a pipeline's turn or a session's turn."""
    found = turn.timeline() if callable(turn.timeline) else turn.timeline
    if not isinstance(found, Timeline):
        raise ConfigurationError(
            f"This {type(turn).__name__} has no timeline.", what_now="Take a turn that has ended, of a spoken question."
        )
    made_by = getattr(turn, "provenance", None)
    if made_by is None:
        return timeline_row(found, title=_short(str(getattr(turn, "user_transcript", ""))))
    clip = getattr(getattr(turn, "clip", None), "title", "")
    title = f"{ROUTE_TITLES[found.route]}: {_short(clip)}" if clip else ROUTE_TITLES[found.route]
    return timeline_row(found, title=title, made_by=made_by_words(made_by), simulated=unsaid(made_by))


def unsaid(provenance: Any) -> list[str]:
    """Return what was simulated and is not in the engine's own words already."""
    words = made_by_words(provenance)
    return [part for part in provenance.simulated if part not in words]


def made_by_words(provenance: Any) -> str:
    """Return who answered, as it is shown: the engine, else the models, else where they are."""
    models = dict.fromkeys(provenance.models.values())
    return str(provenance.engine) or ", ".join(models) or ", ".join(dict.fromkeys(provenance.endpoints.values()))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TITLE_CHARACTERS else f"{text[: MAX_TITLE_CHARACTERS - 1]}…"
