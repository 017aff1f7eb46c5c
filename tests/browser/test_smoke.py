"""The harness itself: a cell runs in a real JupyterLab on both kernels, and the page tells us so."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import KERNEL_6, KERNEL_7


def test_a_cell_runs_on_the_kernel_that_was_chosen(open_notebook: OpenNotebook, kernel: str) -> None:
    notebook = open_notebook(
        ["import ipykernel; print(ipykernel.version_info[0])", "import realtime_nb; 6 * 7"], kernel=kernel
    )
    notebook.run(0)
    assert notebook.output_text(0).strip() == {KERNEL_7: "7", KERNEL_6: "6"}[kernel]
    notebook.run_all()
    assert notebook.output_text(1) == "42"
    assert notebook.execution_count(1) == 3


def test_a_cell_that_raises_fails_the_test_with_its_traceback(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(["1 / 0"])
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run(0)


WAIT_FOR_GO = """
import pathlib, time
print("begun", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""


def test_output_is_seen_while_the_cell_still_runs(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook([WAIT_FOR_GO])
    notebook.start(0)
    notebook.wait_output(0, "begun")
    assert notebook.is_running(0)
    (notebook.lab.directory / "go").touch()
    notebook.wait_done(0)
    assert not notebook.is_running(0)


def test_both_themes_can_be_photographed(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(["'hello'"], viewport=(900, 500))
    notebook.run(0)
    pictures = []
    for theme in ("light", "dark"):
        notebook.set_theme(theme)
        pictures.append(notebook.screenshot(f"smoke-{theme}").read_bytes())
    assert pictures[0] != pictures[1]


def test_the_microphone_is_granted(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook(["1"])
    kinds = notebook.evaluate(
        "async () => (await navigator.mediaDevices.getUserMedia({audio: true})).getTracks().map((t) => t.kind)"
    )
    assert kinds == ["audio"]
