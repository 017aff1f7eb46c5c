"""What the command line takes as a value, with words for what it does not."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TypeVar

from realtime_nb.errors import ConfigurationError

Number = TypeVar("Number", int, float)


def port(text: str) -> int:
    """Return a TCP port; 0 is any free one."""
    number = _number(text, int, "a whole number")
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; give 0 to 65535")
    return number


def positive(text: str) -> int:
    """Return a count."""
    number = _number(text, int, "a whole number")
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few; give at least 1")
    return number


def seconds(text: str) -> float:
    """Return a duration in seconds, 0 or more."""
    number = _number(text, float, "a number of seconds")
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no duration; give seconds")
    return number


def _number(text: str, kind: type[Number], what: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None


def check_writable(name: str | None) -> None:
    """Complain before the work, not after it.

    Raises:
        ConfigurationError: no file can be made there.
    """
    if name is not None and not Path(name).absolute().parent.is_dir():
        raise ConfigurationError(f"There is no folder for {name!r}.", what_now="Make it, or write somewhere else.")
    if name is not None and Path(name).is_dir():
        raise ConfigurationError(f"{name!r} is a folder.", what_now="Give the name of a file.")
