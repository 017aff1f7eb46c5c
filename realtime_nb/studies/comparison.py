"""`Comparison`: the rows of a comparison with their provenance, and the questions that one asks of them."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from realtime_nb.errors import ConfigurationError, MissingExtra
from realtime_nb.studies import statistics
from realtime_nb.studies.extras import load
from realtime_nb.studies.journal import read_journal
from realtime_nb.studies.provenance import StudyProvenance, with_rows
from realtime_nb.studies.rows import COLUMNS, Row
from realtime_nb.studies.statistics import Estimate
from realtime_nb.studies.table import Table
from realtime_nb.studies.whole_file import whole_file
from realtime_nb.timing.marks import ROUTES

SCHEMA = 1
SWEPT = ("network", "silence_duration_ms", "endpoint")
"""Columns that tell cases apart where a pipeline has several of them, and are what is compared where it has one."""
SUMMARY_COLUMNS = (
    "pipeline",
    "n",
    "missing",
    "failed",
    "no_speech",
    "flagged",
    "unmeasured",
    "p50_ms",
    "low_ms",
    "high_ms",
    "p90_ms",
    "p95_ms",
)


class Comparison:
    """What `compare` returns. Rows are in the order run; planned rows that never ran are among them, as "missing".

    Averages are over completed, measured, unflagged rows; the rest is counted beside them.

    Attributes:
        rows: one per planned run.
        provenance: seed, machine, versions, engines, what was simulated.
    """

    def __init__(self, rows: Sequence[Row], provenance: StudyProvenance | None = None) -> None:
        self.rows: tuple[Row, ...] = tuple(rows)
        self.provenance = with_rows(provenance or StudyProvenance(), self.rows)

    @property
    def pipelines(self) -> tuple[str, ...]:
        """The pipelines' names, as they were asked for."""
        present = dict.fromkeys(row.pipeline for row in self.rows)
        asked = dict.fromkeys((*self.provenance.pipelines, *ROUTES))
        return tuple(name for name in (*asked, *(name for name in present if name not in asked)) if name in present)

    @property
    def clips(self) -> tuple[str, ...]:
        """The clips' names."""
        return tuple(sorted({row.clip for row in self.rows}))

    def of(self, pipeline: str) -> tuple[Row, ...]:
        """Return one pipeline's rows.

        Raises:
            ConfigurationError: there is none of that name.
        """
        if pipeline not in self.pipelines:
            raise ConfigurationError(
                f"There is no pipeline {pipeline!r} in this comparison.",
                what_now=f"It has: {', '.join(self.pipelines) or 'none'}.",
            )
        return tuple(row for row in self.rows if row.pipeline == pipeline)

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows as lists by column name."""
        return {name: [getattr(row, name) for row in self.rows] for name in COLUMNS}

    def to_pandas(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return load("pandas").DataFrame(self.columns())

    def median(self, pipeline: str, *, level: float = statistics.LEVEL) -> Estimate:
        """Return the median voice-to-voice of one pipeline, with its interval."""
        what = f"{pipeline}, median voice-to-voice"
        return statistics.median(_measured(self.of(pipeline)), what=what, seed=self.provenance.seed, level=level)

    def summary(self, *, level: float = statistics.LEVEL) -> Table:
        """Return one row a pipeline: n, what is not in n and why, p50 with its interval, p90, p95, in ms.

        Every run is in one of the counts: "flagged" is completed with an impossible timeline, "unmeasured" completed
        without a measurable end.

        Raises:
            MissingExtra: SciPy is not installed.
        """
        rows = [self._summary_row(name, level) for name in self.pipelines]
        few = any(0 < row[1] < statistics.MIN_N for row in rows)
        note = f"No interval where n < {statistics.MIN_N}. {self.provenance.line}" if few else self.provenance.line
        title = f"voice-to-voice, ms; low and high are the {level:.0%} interval of p50"
        return Table(SUMMARY_COLUMNS, rows, title=title, note=note)

    def _summary_row(self, name: str, level: float | None) -> tuple[Any, ...]:
        rows = self.of(name)
        values, completed = _measured(rows), [row for row in rows if row.status == "completed"]
        middle = self.median(name, level=level) if level is not None else None
        return (
            name,
            len(values),
            sum(row.status == "missing" for row in rows),
            sum(row.status in ("failed", "timed_out") for row in rows),
            sum(row.status == "no_speech" for row in rows),
            sum(bool(row.flags) for row in completed),
            sum(row.measured_ms is None and not row.flags for row in completed),
            statistics.percentile(values, 50),
            middle.low if middle else None,
            middle.high if middle else None,
            statistics.percentile(values, 90),
            statistics.percentile(values, 95),
        )

    def pairs(self, first: str, second: str) -> list[tuple[Row, Row]]:
        """Return the rows of two pipelines that asked the same clip in the same repeat, both measured.

        Where either was run with several networks, holds or endpoints, these are the same, too.
        """
        ones, others = self.of(first), self.of(second)
        swept = swept_in(ones, others)

        def case(row: Row) -> tuple[Any, ...]:
            return (row.clip, row.repeat, *(getattr(row, name) for name in swept))

        partners = {case(row): row for row in others if row.measured_ms is not None}
        return [(row, partners[case(row)]) for row in ones if row.measured_ms is not None and case(row) in partners]

    def ratio(self, first: str, second: str, *, level: float = statistics.LEVEL) -> Estimate:
        """Return the median of first ÷ second over pairs; without enough pairs it says so instead.

        Raises:
            ConfigurationError: no such pipeline.
            MissingExtra: SciPy is not installed.
        """
        what = f"{first} ÷ {second}, median of paired ratios"
        return statistics.paired_ratio(self._values(first, second), what=what, seed=self.provenance.seed, level=level)

    def difference(self, first: str, second: str, *, level: float = statistics.LEVEL) -> Estimate:
        """Return the median of first - second over pairs, in ms.

        Raises:
            ConfigurationError: no such pipeline.
            MissingExtra: SciPy is not installed.
        """
        what = f"{first} - {second}, median of paired differences"
        pairs = self._values(first, second)
        return statistics.paired_difference(pairs, what=what, seed=self.provenance.seed, level=level)

    def _values(self, first: str, second: str) -> list[tuple[float, float]]:
        return [(one.measured_ms or 0.0, other.measured_ms or 0.0) for one, other in self.pairs(first, second)]

    def missing(self) -> Table:
        """Return the rows that are in no average, and why."""
        rows = [row for row in self.rows if row.measured_ms is None]
        return Table(
            ("run", "pipeline", "clip", "repeat", "network", "status", "why"),
            [(r.run, r.pipeline, r.clip, r.repeat, r.network, r.status, why_not(r)) for r in rows],
            title=f"{len(rows)} of {len(self.rows)} runs are in no average" if rows else "nothing is missing",
        )

    def reasons(self) -> Table:
        """Return the same as `missing`, one row a pipeline and reason, with how many."""
        rows = [row for row in self.rows if row.measured_ms is None]
        groups = Counter((row.pipeline, row.status, why_not(row)) for row in rows)
        lines = [(pipeline, status, n, why) for (pipeline, status, why), n in groups.items()]
        return Table(("pipeline", "status", "runs", "why"), lines, title=self.missing().title)

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything as one JSON file and return its path; an older file there stays whole until it is done."""
        target = Path(path)
        document = {"schema": SCHEMA, "kind": "comparison", "provenance": self.provenance, "rows": self.rows}
        with whole_file(target) as unfinished:
            unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
        return target

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one page with tables and figures that needs nothing else, and return its path.

        Raises:
            MissingExtra: SciPy is not installed.
        """
        from realtime_nb.studies.html_page import comparison_html

        target = Path(path)
        target.write_text(comparison_html(self), "utf-8")
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Comparison:
        """Read a file written by `save`, or the rows of a journal that `compare(path=...)` wrote.

        Raises:
            ConfigurationError: it is not there, is something else, or was written by a newer version.
        """
        try:
            document = msgspec.json.decode(Path(path).read_bytes(), type=_Document)
        except (OSError, msgspec.MsgspecError) as problem:
            with contextlib.suppress(ConfigurationError):
                head, rows = read_journal(path)
                return cls(rows, head.provenance)
            raise ConfigurationError(
                f"{path} cannot be read as a saved comparison ({problem}).",
                what_now="Give a file written by Comparison.save.",
            ) from problem
        if document.schema > SCHEMA:
            raise ConfigurationError(
                f"{path} has schema {document.schema}; this version reads up to {SCHEMA}.",
                what_now="Install a newer realtime-nb.",
            )
        return cls(document.rows, document.provenance)

    # --- shown --------------------------------------------------------------------------------------------------

    def table(self) -> Table:
        """Return `summary()`, without intervals (and saying so) where SciPy is not installed."""
        try:
            return self.summary()
        except MissingExtra as problem:
            rows = [self._summary_row(name, None) for name in self.pipelines]
            note = f"No intervals: {problem} {self.provenance.line}"
            return Table(SUMMARY_COLUMNS, rows, title="voice-to-voice, ms", note=note)

    def __repr__(self) -> str:
        left_out = sum(row.measured_ms is None for row in self.rows)
        said = f"\n{left_out} of {len(self.rows)} runs are in no average: see .missing()" if left_out else ""
        return f"{self.table().text()}{said}"

    def _repr_html_(self) -> str:
        missing = self.missing()
        if not len(missing):
            return self.table().html()
        summary = f"<summary>{escape(missing.title)}</summary>"
        return f"{self.table().html()}<details>{summary}{Table(missing.columns, _cells(missing)).html()}</details>"


class _Document(msgspec.Struct):
    schema: int
    kind: str
    provenance: StudyProvenance
    rows: list[Row]


def swept_in(*series: Sequence[Row]) -> list[str]:
    """Return the conditions of which one pipeline's measured rows have several.

    Rows that failed or never ran may not know theirs and do not count; one that is not known of all divides none.
    """
    known = [[row for row in rows if row.measured_ms is not None] for rows in series]

    def varies(name: str) -> bool:
        values = [{getattr(row, name) for row in rows} for rows in known]
        return not any({None, ""} & own for own in values) and any(len(own) > 1 for own in values)

    return [name for name in SWEPT if varies(name)]


def why_not(row: Row) -> str:
    """Return why a row is in no average, "" when it is."""
    if row.measured_ms is not None:
        return ""
    if row.error or row.flags:
        return "; ".join(part for part in (row.error, row.flags) if part)
    return "voice-to-voice could not be measured" if row.status == "completed" else row.status


def _measured(rows: Sequence[Row]) -> list[float]:
    return [row.measured_ms for row in rows if row.measured_ms is not None]


def _cells(table: Table) -> list[list[Any]]:
    return [list(row.values()) for row in table]
