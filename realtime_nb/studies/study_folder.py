"""The folder of a study: `study.json` (the plan), `rows/*.parquet` (what was run), `missing.json` (what was not)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.journal import SCHEMA, Head, check_same
from realtime_nb.studies.parquet import Parts
from realtime_nb.studies.whole_file import whole_file

HEAD_FILE = "study.json"
MISSING_FILE = "missing.json"
KIND = "realtime_nb study"


class Missing(msgspec.Struct, kw_only=True):
    """What is not there after the last sitting.

    Attributes:
        runs: why, by run.
        lost_workers: of all sittings; rounds that they had begun were done again by others.
    """

    runs: dict[str, str] = {}
    lost_workers: list[str] = []


class StudyFolder:
    """A study's files. Methods block briefly.

    Args:
        path: of the folder; made when it is not there.
        head: of the study; the folder's own when it has the same plan.

    Raises:
        ConfigurationError: it holds another study, something else, or one of a newer version.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], head: Head) -> None:
        self.path = Path(path)
        self.parts = Parts(self.path)
        file = self.path / HEAD_FILE
        if file.exists():
            self.head = read_head(self.path)
            check_same(file, self.head.plan, head.plan)
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise ConfigurationError(f"{self.path} has other things in it.", what_now="Choose a new folder.")
        self.path.mkdir(parents=True, exist_ok=True)
        self.head = msgspec.structs.replace(head, kind=KIND)
        _write(file, msgspec.json.format(msgspec.json.encode(self.head), indent=1))

    def done(self) -> set[int]:
        """Return which runs are written."""
        return self.parts.done()

    def write_missing(self, runs: Mapping[int, str], *, lost_workers: Sequence[str]) -> None:
        """Write why runs are not there, in the place of what was written before."""
        lost = [*read_missing(self.path).lost_workers, *lost_workers]
        missing = Missing(runs={str(run): why for run, why in runs.items()}, lost_workers=lost)
        _write(self.path / MISSING_FILE, msgspec.json.encode(missing))


def read_head(path: Path) -> Head:
    """Return a study's plan and provenance.

    Raises:
        ConfigurationError: it is no study, or one of a newer version.
    """
    try:
        head = msgspec.json.decode((path / HEAD_FILE).read_bytes(), type=Head)
    except (OSError, msgspec.MsgspecError) as problem:
        raise ConfigurationError(f"{path} is no study ({problem}).", what_now="Choose the folder of one.") from problem
    if head.kind != KIND or head.schema > SCHEMA:
        raise ConfigurationError(
            f"{path} holds a {head.kind!r} of schema {head.schema}; this version reads {KIND!r} up to {SCHEMA}.",
            what_now="Choose another folder, or install a newer realtime-nb.",
        )
    return head


def read_missing(path: Path) -> Missing:
    """Return what was missing after the last sitting; nothing when none ended yet."""
    try:
        return msgspec.json.decode((path / MISSING_FILE).read_bytes(), type=Missing)
    except (OSError, msgspec.MsgspecError):
        return Missing()


def _write(path: Path, data: bytes) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_bytes(data)
