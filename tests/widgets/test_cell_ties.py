from __future__ import annotations

from typing import Any

import pytest

from realtime_nb.widgets import cell_ties
from realtime_nb.widgets.cell_ties import tie_to_cell


class Made:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Shell:
    request: Any = None

    def get_parent(self) -> Any:
        return self.request


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    import IPython

    shell = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(cell_ties, "_made", {})
    return shell


def made(shell: Shell, cell: str, run: str) -> Made:
    shell.request = {"metadata": {"cellId": cell} if cell else {}, "header": {"msg_id": run}}
    widget = Made()
    tie_to_cell(widget)
    return widget


def test_a_cell_that_runs_again_closes_what_it_made(shell: Shell) -> None:
    first, second = made(shell, "a", "run 1"), made(shell, "a", "run 1")
    other = made(shell, "b", "run 2")
    assert not first.closed
    assert not second.closed
    third = made(shell, "a", "run 3")
    assert (first.closed, second.closed, other.closed, third.closed) == (True, True, False, False)
    made(shell, "a", "run 4")
    assert third.closed


def test_without_a_cell_nothing_is_closed(shell: Shell) -> None:
    first = made(shell, "", "run 1")
    made(shell, "", "run 2")
    shell.request = None
    tie_to_cell(Made())
    assert not first.closed
