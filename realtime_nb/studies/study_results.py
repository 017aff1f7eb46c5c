"""What a study measured, read from its folder as far as it is needed: it may be larger than memory."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies import statistics
from realtime_nb.studies.comparison import Comparison
from realtime_nb.studies.extras import load
from realtime_nb.studies.parquet import Parts
from realtime_nb.studies.plan import rounds_of
from realtime_nb.studies.provenance import StudyProvenance, on_workers
from realtime_nb.studies.rows import COLUMNS, Row
from realtime_nb.studies.study_folder import read_head, read_missing
from realtime_nb.studies.table import Table

FACTORS = ("pipeline", "clip", "silence_duration_ms", "network", "endpoint")


class StudyResults:
    """The results in a study's folder.

    Args:
        folder: of the study.

    Raises:
        ConfigurationError: there is no study.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._head = read_head(self.folder)
        self._parts = Parts(self.folder)

    @functools.cached_property
    def _plan(self) -> list[Row]:
        return [row for rows in rounds_of(self._head.plan) for row in rows]

    @property
    def planned(self) -> int:
        """How many runs the study has."""
        return len(self._plan)

    def dataset(self) -> Any:
        """Return a lazy `pyarrow.dataset.Dataset`."""
        return self._parts.dataset()

    def dask(self) -> Any:
        """Return a lazy Dask DataFrame, for results larger than memory.

        Raises:
            MissingExtra: dask or pandas is not installed.
        """
        return load("dask.dataframe").read_parquet(str(self._parts.folder / "*.parquet"))

    def rows(self) -> Iterator[Row]:
        """Yield the rows that were run, one batch in memory at a time."""
        return self._parts.rows()

    def summary(self, by: Sequence[str] = ("pipeline", "network", "silence_duration_ms", "endpoint")) -> Table:
        """Return one row a group: n, what is not in n, p50 with its interval, p90 and p95 of voice-to-voice, in ms.

        Only the columns that it needs are read.

        Args:
            by: columns that make the groups.

        Raises:
            ConfigurationError: no such column.
            MissingExtra: SciPy is not installed.
        """
        _check_columns(by)
        values: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        left_out: dict[tuple[Any, ...], int] = defaultdict(int)
        for ms, status, flags, *group in self._parts.column("voice_to_voice_ms", "status", "flags", *by):
            if ms is None or status != "completed" or flags:
                left_out[tuple(group)] += 1
            else:
                values[tuple(group)].append(ms)
        lines = []
        for found in sorted({*values, *left_out}, key=lambda group: [(value is None, value) for value in group]):
            middle = statistics.median(values[found], seed=self._head.provenance.seed)
            high = (statistics.percentile(values[found], q) for q in (90, 95))
            n = len(values[found])
            lines.append((*found, n, left_out[found], middle.value, middle.low, middle.high, *high))
        columns = (*by, "n", "left_out", "p50_ms", "low_ms", "high_ms", "p90_ms", "p95_ms")
        interval = f"low and high are the {statistics.LEVEL:.0%} interval of p50, from n = {statistics.MIN_N} on"
        return Table(columns, lines, title=f"voice-to-voice, ms; {interval}", note=self.provenance().line)

    def comparison(self, **where: Any) -> Comparison:
        """Return rows as a `Comparison`, in memory: those with these values, for example `network="4G"`.

        Planned runs that are not there are among them, as "missing".

        Raises:
            ConfigurationError: no such column.
        """
        _check_columns(where)
        rows = [row for row in (*self.rows(), *self._not_run()) if _has(row, where)]
        return Comparison(sorted(rows, key=lambda row: row.run), self._head.provenance)

    def provenance(self) -> StudyProvenance:
        """Return where the results come from, with what the rows say; reads a few columns."""
        names = ("engine", "model", "endpoint", "simulated", "machine", "worker")
        texts: dict[str, dict[str, None]] = {name: {} for name in names}
        n = 0
        for values in self._parts.column(*texts):
            n += 1
            for name, value in zip(texts, values, strict=True):
                texts[name].update(dict.fromkeys(part for part in (value or "").split("; ") if part))
        return msgspec.structs.replace(
            self._head.provenance,
            n=n,
            missing=self.planned - n,
            engines=tuple(texts["engine"]),
            models=tuple(texts["model"]),
            endpoints=tuple(texts["endpoint"]),
            simulated=tuple(texts["simulated"]),
            machine="; ".join(texts["machine"]) or self._head.provenance.machine,
            at_once=on_workers(texts["worker"]),
        )

    def missing(self) -> Table:
        """Return the planned runs that are not there, and why."""
        rows, lost = self._not_run(), read_missing(self.folder).lost_workers
        return Table(
            ("run", *FACTORS, "why"),
            [(row.run, *(getattr(row, name) for name in FACTORS), row.error) for row in rows],
            title=f"{len(rows)} of {self.planned} runs are missing" if rows else "nothing is missing",
            note=f"Workers lost on the way: {', '.join(lost)}." if lost else "",
        )

    def _not_run(self) -> list[Row]:
        done, why = self._parts.done(), read_missing(self.folder).runs
        ended = "not run: the study ended before it was written"
        rows = [row for row in self._plan if row.run not in done]
        return [msgspec.structs.replace(row, error=why.get(str(row.run), ended)) for row in rows]

    def __repr__(self) -> str:
        return f"{self.summary().text()}\n{self.missing().title}"

    def _repr_html_(self) -> str:
        return f"{self.summary().html()}<p>{self.missing().title}</p>"


def _has(row: Row, values: Mapping[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in values.items())


def _check_columns(names: Iterable[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            raise ConfigurationError(f"There is no column {name!r}.", what_now=f"There are: {', '.join(COLUMNS)}.")
