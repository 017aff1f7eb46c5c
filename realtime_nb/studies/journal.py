"""The file that a comparison grows in: a head, then a row a line, so that what was measured outlives everything."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.provenance import StudyProvenance
from realtime_nb.studies.rows import Row

SCHEMA = 1


class Head(msgspec.Struct, kw_only=True):
    """The first line.

    Attributes:
        plan: what decides the runs and their order; a journal is only resumed by the same plan.
        provenance: as it was before the first run.
        schema: of the file.
    """

    plan: dict[str, Any]
    provenance: StudyProvenance
    schema: int = SCHEMA
    kind: str = "realtime_nb comparison journal"


class Journal:
    """Appends rows to a file; what is written is there after a crash. Methods block briefly: call them in a thread.

    Args:
        path: of the file; a new one is begun, an old one is resumed.
        head: of the comparison that is to be run.

    Attributes:
        done: rows that were already in the file, by their place in the order.
        head: of the file.

    Raises:
        ConfigurationError: the file holds another comparison, or is none.
    """

    def __init__(self, path: str | os.PathLike[str], head: Head) -> None:
        self.path = Path(path)
        self.done: dict[int, Row] = {}
        self.head = head
        if self.path.exists() and self.path.stat().st_size:
            self.head, rows, whole_bytes = _read(self.path)
            check_same(self.path, self.head.plan, head.plan)
            self.done = {row.run: row for row in rows}
            if whole_bytes < self.path.stat().st_size:
                os.truncate(self.path, whole_bytes)
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(head)

    def append(self, row: Row) -> None:
        """Add one row; it has left this process when this returns."""
        self._append(row)

    def _append(self, line: Any) -> None:
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def read_journal(path: str | os.PathLike[str]) -> tuple[Head, list[Row]]:
    """Return a journal's head and rows; a last line that was cut off is left out.

    Raises:
        ConfigurationError: it is no journal.
    """
    head, rows, _ = _read(Path(path))
    return head, rows


def _read(path: Path) -> tuple[Head, list[Row], int]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        head = msgspec.json.decode(whole[0], type=Head)
        rows = [msgspec.json.decode(line, type=Row) for line in whole[1:]]
    except (OSError, IndexError, msgspec.MsgspecError) as problem:
        raise ConfigurationError(
            f"{path} is no journal of a comparison ({problem}).", what_now="Choose another file."
        ) from problem
    if head.schema > SCHEMA:
        raise ConfigurationError(
            f"{path} has schema {head.schema}; this version reads up to {SCHEMA}.",
            what_now="Install a newer realtime-nb.",
        )
    return head, rows, sum(map(len, whole))


def check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse to go on with something else.

    Raises:
        ConfigurationError: the plans differ; the message says in what.
    """
    new = msgspec.json.decode(msgspec.json.encode(new))
    differ = [name for name in _names(old, new) if old.get(name) != new.get(name)]
    if differ:
        said = "; ".join(f"{name} {old.get(name)!r}, not {new.get(name)!r}" for name in differ)
        raise ConfigurationError(
            f"{path} holds another comparison: {said}.", what_now="Choose another file, or ask for the same again."
        )


def _names(*plans: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for plan in plans for name in plan))
