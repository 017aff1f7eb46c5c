"""Where recordings go when nobody named a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from realtime_nb.errors import ConfigurationError

RECORDINGS = "recordings"
VARIABLE = "REALTIME_NB_RECORD"


def dated_folder(within: Path, now: datetime | None = None) -> Path:
    """Make a folder named after the moment and return it: `2026-11-22_20-31-05`, with `-2` when that is taken.

    Two kernels in the same second get two folders.

    Raises:
        ConfigurationError: it cannot be made.
    """
    name = (now or datetime.now()).strftime("%Y-%m-%d_%H-%M-%S")
    taken = 1
    try:
        within.mkdir(parents=True, exist_ok=True)
        while True:
            folder = within / (name if taken == 1 else f"{name}-{taken}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
            taken += 1
    except (OSError, ValueError) as problem:
        raise ConfigurationError(
            f"No recording can be written to {within}: {problem}.",
            what_now="Give a folder on a disk with room that you may write to.",
        ) from problem


def folder_for(record: str | os.PathLike[str] | bool, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return where a session is to be recorded, None for nowhere. A dated folder is made at once.

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
