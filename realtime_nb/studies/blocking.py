"""The blocking form of what is awaited in a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from realtime_nb.errors import ConfigurationError

T = TypeVar("T")


def run_blocking(work: Callable[[], Coroutine[Any, Any, T]], *, instead: str) -> T:
    """Run to the end on a loop of its own.

    Args:
        work: makes what is run.
        instead: what to write where a loop runs already, as in a notebook.

    Raises:
        ConfigurationError: a loop runs here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    raise ConfigurationError("A loop is running here, as in every notebook.", what_now=f"Use `{instead}`.")
