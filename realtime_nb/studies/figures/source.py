"""What a figure is drawn from, what of it is left out, and the line that says where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.studies import statistics
from realtime_nb.studies.comparison import Comparison, swept_in
from realtime_nb.studies.figures.look import Line, Look, Size, Theme, lines, look
from realtime_nb.studies.provenance import StudyProvenance, simulated_word
from realtime_nb.studies.rows import COLUMNS, Row
from realtime_nb.studies.statistics import Estimate

Source = Comparison | Iterable[Row | Mapping[str, Any]]
UNCHANGED = ("none", "embedded")
"""Conditions that come before others."""
UNKNOWN = (None, "")
CONDITION_WORDS = {"network": "network", "silence_duration_ms": "hold", "endpoint": "endpoint"}
STATUS_WORDS = {"failed": "failed", "timed_out": "timed out", "no_speech": "without speech", "missing": "never ran"}


def begin(source: Any, theme: Theme, size: Size) -> tuple[Comparison, Look, tuple[str, ...], dict[str, Line]]:
    """Return what every figure of several pipelines begins with: rows by condition, the look, names, and their lines.

    Raises:
        ConfigurationError: no rows, or an unknown theme or size.
    """
    comparison = by_condition(comparison_of(source))
    return comparison, look(theme, size), comparison.pipelines, lines(comparison.pipelines)


def comparison_of(source: Any) -> Comparison:
    """Return a comparison: one as it is, or rows, or mappings with the rows' columns, or a DataFrame of them.

    Raises:
        ConfigurationError: it is something else, or has no rows.
    """
    if isinstance(source, Comparison):
        found = source
    else:
        records = source.to_dict("records") if hasattr(source, "to_dict") else source
        try:
            found = Comparison([row if isinstance(row, Row) else _row(row) for row in records])
        except (TypeError, msgspec.ValidationError) as problem:
            raise ConfigurationError(
                f"A {type(source).__name__} cannot be drawn ({problem}).",
                what_now="Give a Comparison, its rows, or a DataFrame with the same columns.",
            ) from problem
    if not found.rows:
        raise ConfigurationError("There are no rows to draw.", what_now="Run a comparison first.")
    return found


def by_condition(comparison: Comparison) -> Comparison:
    """Return it with a series for every condition: what differs is never averaged into one bar.

    Where a pipeline ran over several networks, holds or endpoints, its name says which: "chain, 4G, hold 200 ms".
    Conditions are in order, and the pipelines of each as they were asked for.
    """
    swept = _swept(comparison)
    if not swept:
        return comparison
    rank = {name: place for place, name in enumerate(comparison.pipelines)}

    def place(row: Row) -> tuple[Any, ...]:
        return (*(_rank(getattr(row, name)) for name in swept), rank[row.pipeline])

    def named(row: Row) -> str:
        return ", ".join([row.pipeline, *(_condition(row, name) for name in swept)])

    rows = [msgspec.structs.replace(row, pipeline=named(row)) for row in comparison.rows]
    order = dict.fromkeys(named(row) for row in sorted(comparison.rows, key=place))
    return Comparison(rows, msgspec.structs.replace(comparison.provenance, pipelines=tuple(order)))


def mixed(comparison: Comparison) -> list[str]:
    """Return a note where rows of several conditions are drawn together, [] otherwise."""
    found = dict.fromkeys(_condition(row, name) for name in _swept(comparison) for row in comparison.rows)
    return [f"Pairs of several conditions together: {', '.join(found)}."] if found else []


def _swept(comparison: Comparison) -> list[str]:
    return swept_in(*(comparison.of(pipeline) for pipeline in comparison.pipelines))


def _rank(value: Any) -> tuple[Any, ...]:
    return (1,) if value in UNKNOWN else (0, value not in UNCHANGED, value)


def _condition(row: Row, name: str) -> str:
    value = getattr(row, name)
    if value in UNKNOWN:
        return f"{CONDITION_WORDS[name]} not known"
    if name == "endpoint":
        return str(value)
    return f"{CONDITION_WORDS[name]} {value}" if name == "network" else f"{CONDITION_WORDS[name]} {value:.0f} ms"


def _row(record: Mapping[str, Any]) -> Row:
    known = {name: value for name, value in record.items() if name in COLUMNS and not _is_nan(value)}
    return msgspec.convert({name: value for name, value in known.items() if value is not None}, Row, strict=False)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def measured(rows: Iterable[Row]) -> list[float]:
    """Return the voice-to-voice of rows that may be averaged, ms."""
    return [row.measured_ms for row in rows if row.measured_ms is not None]


def counted(rows: Iterable[Row]) -> str:
    """Return "n = 18 of 20 runs; left out: 1 failed, 1 flagged": nothing is dropped silently."""
    rows = list(rows)
    left_out = {words: sum(row.status == status for row in rows) for status, words in STATUS_WORDS.items()}
    completed = [row for row in rows if row.status == "completed"]
    left_out["flagged"] = sum(bool(row.flags) for row in completed)
    left_out["without a measurable end"] = sum(row.measured_ms is None and not row.flags for row in completed)
    total = len(measured(rows))
    said = ", ".join(f"{number} {words}" for words, number in left_out.items() if number)
    return f"n = {total} of {len(rows)} runs; left out: {said}" if said else f"n = {total} runs, none left out"


def median_of(values: list[float], seed: int) -> Estimate:
    """Return the median with its interval; without SciPy, without one, and saying so."""
    try:
        return statistics.median(values, seed=seed)
    except MissingExtra as problem:
        middle = statistics.percentile(values, 50)
        return Estimate(what="median", value=middle, n=len(values), note=f"no interval: {problem.message}")


def provenance_line(comparison: Comparison, *, interval: str = "") -> str:
    """Return engine, model, endpoint, machine, n, interval, date and what was simulated, on one line."""
    where: StudyProvenance = comparison.provenance
    word = simulated_word(comparison.rows)
    dates = sorted(row.started[:10] for row in comparison.rows if row.started)
    created = where.created[:10] or (dates[0] if dates else "")
    known = {
        "engine": ", ".join(where.engines),
        "model": ", ".join(where.models),
        "endpoint": ", ".join(where.endpoints),
        "machine": where.machine,
    }
    return " · ".join(
        part
        for part in (
            f"{word.upper()}: {', '.join(where.simulated)}" if word else "measured",
            *(f"{name}: {value or 'not recorded'}" for name, value in known.items()),
            where.load_line,
            f"n = {where.n} runs" + (f" ({where.missing} missing)" if where.missing else ""),
            where.at_once,
            interval,
            f"seed {where.seed}" if where.created else "",
            created or "date not recorded",
            where.stopped,
        )
        if part
    )
