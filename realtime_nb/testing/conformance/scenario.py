"""What a scenario is: rows that it will judge, and a coroutine that talks to the server to judge them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from realtime_nb.testing.conformance.results import Row

if TYPE_CHECKING:
    from realtime_nb.testing.conformance.trial import Trial

Play = Callable[["Trial"], Awaitable[None]]


class Scenario(msgspec.Struct, frozen=True):
    """One conversation with the server, on connections of its own.

    Attributes:
        name: shown in the report.
        rows: everything that it judges; a row left unjudged is reported as not tested, or as failed if the server
            stopped the scenario there.
        play: does it.
        timeout_s: for all of it.
    """

    name: str
    rows: tuple[Row, ...]
    play: Play
    timeout_s: float = 60.0


def core(key: str, event: str, field: str, behaviour: str) -> Row:
    """Return a row of the core profile."""
    return Row(key, event, field, behaviour, "core")


def full(key: str, event: str, field: str, behaviour: str) -> Row:
    """Return a row of the full profile."""
    return Row(key, event, field, behaviour, "full")


def scenario(name: str, *rows: Row, timeout_s: float = 60.0) -> Callable[[Play], Scenario]:
    """Make a coroutine function a scenario."""

    def made(play: Play) -> Scenario:
        return Scenario(name, rows, play, timeout_s)

    return made
