"""A widget ends when the cell that made it runs again: its view is gone, and what it holds would stay for ever.

ipywidgets and the output history keep every widget alive, so a Studio made anew in a re-run cell would leave the former
one, its session and its connection behind.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["tie_to_cell"]


class Closable(Protocol):
    """A widget."""

    def close(self) -> None:
        """End it."""


_made: dict[str, tuple[str, WeakSet[Closable]]] = {}


def tie_to_cell(widget: Closable) -> None:
    """Close what an earlier run of the cell that runs now made, and remember `widget` for its next run.

    Does nothing outside of a notebook, and where the front end does not say which cell runs.
    """
    cell_id, run_id = _running_cell()
    if not cell_id:
        return
    former_run_id, former = _made.get(cell_id, (run_id, WeakSet()))
    if former_run_id != run_id:
        for old in list(former):
            old.close()
        former = WeakSet()
    former.add(widget)
    _made[cell_id] = (run_id, former)


def _running_cell() -> tuple[str, str]:
    """The id of the cell and of the request that runs it; empty when unknown."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    request = shell.get_parent() if hasattr(shell, "get_parent") else None
    if not isinstance(request, dict):
        return "", ""
    metadata, header = request.get("metadata") or {}, request.get("header") or {}
    return str(metadata.get("cellId") or ""), str(header.get("msg_id") or "")
