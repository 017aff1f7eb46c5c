"""Libraries of the extra `studies`, loaded on first use."""

from __future__ import annotations

import importlib
from typing import Any

from realtime_nb.errors import MissingExtra

EXTRA = "studies"


def load(module: str) -> Any:
    """Import a module of the extra and return it.

    Raises:
        MissingExtra: it is not installed; the error says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        name = module.partition(".")[0]
        if problem.name is not None and problem.name.partition(".")[0] != name:
            raise
        raise MissingExtra(name, extra=EXTRA) from problem
