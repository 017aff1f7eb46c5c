"""A progress bar, where the library for it is installed: in a notebook, in a terminal, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from realtime_nb.errors import MissingExtra
from realtime_nb.studies.extras import load
from realtime_nb.studies.rows import Row


class Progress(Protocol):
    """What a long work reports to."""

    def began(self, row: Row) -> None:
        """A run begins."""
        ...

    def ended(self, row: Row) -> None:
        """A run ended, well or not."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class NoProgress:
    """Reports nothing."""

    def began(self, row: Row) -> None:
        return

    def ended(self, row: Row) -> None:
        return

    def close(self) -> None:
        return


class Bar:
    """A tqdm bar: what runs now, and how many failed.

    Args:
        total: runs to do.

    Raises:
        MissingExtra: tqdm is not installed.
    """

    def __init__(self, total: int) -> None:
        self._failed = 0
        self._bar = load("tqdm.auto").tqdm(total=total, unit="run", disable=None, dynamic_ncols=True)

    def began(self, row: Row) -> None:
        self._bar.set_description_str(f"{row.pipeline} · {row.clip}")

    def ended(self, row: Row) -> None:
        if row.status not in ("completed", "no_speech"):
            self._failed += 1
            self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class OnLoop:
    """Tells another one on its own loop: a bar in a notebook is a widget, and threads leave widgets alone.

    Args:
        progress: it.
        loop: where it lives; when that is closed, nothing is told any more.
    """

    def __init__(self, progress: Progress, loop: asyncio.AbstractEventLoop) -> None:
        self._progress = progress
        self._loop = loop

    def began(self, row: Row) -> None:
        self._call(lambda: self._progress.began(row))

    def ended(self, row: Row) -> None:
        self._call(lambda: self._progress.ended(row))

    def close(self) -> None:
        self._call(self._progress.close)

    def _call(self, tell: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell)


def progress_for(total: int, wanted: bool | None) -> Progress:
    """Return a bar; None wants one where tqdm is installed.

    Raises:
        MissingExtra: one was wanted, and tqdm is not installed.
    """
    if wanted is False:
        return NoProgress()
    try:
        return Bar(total)
    except MissingExtra:
        if wanted:
            raise
        return NoProgress()
