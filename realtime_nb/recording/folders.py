"""Where recordings go when nobody named a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

RECORDINGS = "recordings"
VARIABLE = "REALTIME_NB_RECORD"


def dated_folder(within: Path, now: datetime | None = None) -> Path:
    """Return a folder named after the moment that is not there yet: `2026-11-22_20-31-05`, with `-2` when taken."""
    name = (now or datetime.now()).strftime("%Y-%m-%d_%H-%M-%S")
    taken = 1
    while (folder := within / (name if taken == 1 else f"{name}-{taken}")).exists():
        taken += 1
    return folder


def folder_for(record: str | os.PathLike[str] | bool, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return where a session is to be recorded, None for nowhere.

    Args:
        record: a folder; True for a dated one in `recordings` here; False asks the environment.
        environ: where `REALTIME_NB_RECORD` may name a folder that gets a dated one for every session.
    """
    environ = os.environ if environ is None else environ
    if record is True:
        return dated_folder(Path(environ.get(VARIABLE) or RECORDINGS))
    if record is not False:
        return Path(record)
    within = environ.get(VARIABLE)
    return dated_folder(Path(within)) if within else None
