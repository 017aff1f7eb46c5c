"""Rows as Parquet part files in a folder: added to as results come, read without loading them all."""

from __future__ import annotations

import functools
import os
import types
import typing
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from realtime_nb.studies.extras import load
from realtime_nb.studies.rows import COLUMNS, Row
from realtime_nb.studies.whole_file import whole_file

ROWS_FOLDER = "rows"
BATCH_ROWS = 65_536


class Parts:
    """The part files of one study. A part is there whole or not at all; methods block briefly.

    Args:
        folder: of the study; parts are in `rows/` below it.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder) / ROWS_FOLDER
        self._arrow = load("pyarrow")
        self._parquet = load("pyarrow.parquet")

    def add(self, rows: Sequence[Row]) -> Path | None:
        """Write a new part and return its path; nothing is written for no rows."""
        if not rows:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
        table = self._arrow.table(columns, schema=schema())
        path = self.folder / f"part-{min(row.run for row in rows):09d}-{uuid.uuid4().hex[:8]}.parquet"
        with whole_file(path) as unfinished:
            self._parquet.write_table(table, unfinished)
        return path

    def dataset(self) -> Any:
        """Return a `pyarrow.dataset.Dataset` over all parts; nothing is read yet."""
        files = sorted(str(path) for path in self.folder.glob("*.parquet"))
        return load("pyarrow.dataset").dataset(files, format="parquet", schema=schema())

    def rows(self) -> Iterator[Row]:
        """Yield all rows, one batch in memory at a time."""
        for batch in self.dataset().to_batches(batch_size=BATCH_ROWS):
            for record in batch.to_pylist():
                yield msgspec.convert({name: value for name, value in record.items() if value is not None}, Row)

    def column(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield values of some columns, row by row, one batch in memory at a time."""
        for batch in self.dataset().to_batches(columns=list(names), batch_size=BATCH_ROWS):
            yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)

    def done(self) -> set[int]:
        """Return which runs are there."""
        return {run for (run,) in self.column("run")}


@functools.cache
def schema() -> Any:
    """Return the Arrow schema of `Row`: the same in every part, also where a column is all null."""
    arrow = load("pyarrow")
    kinds = {int: arrow.int64(), float: arrow.float64(), str: arrow.string()}
    hints = typing.get_type_hints(Row)
    return arrow.schema([(name, kinds[_kind(hints[name])]) for name in COLUMNS])


def _kind(hint: Any) -> type:
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) in (types.UnionType, typing.Union):
        return next(_kind(each) for each in get_args(hint) if each is not type(None))
    return typing.cast(type, hint)
