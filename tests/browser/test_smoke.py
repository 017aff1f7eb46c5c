"""The harness itself: a cell runs in a real JupyterLab on both kernels, and the page tells us so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import KERNEL_6, KERNEL_7, Lab, NotebookPage
from tests.browser.studio_page import open_page


def test_a_cell_runs_on_the_kernel_that_was_chosen(open_notebook: OpenNotebook, kernel: str) -> None:
    notebook = open_notebook(
        ["import ipykernel; print(ipykernel.version_info[0])", "import realtime_nb; 6 * 7"], kernel=kernel
    )
    notebook.run(0)
    assert notebook.output_text(0).strip() == {KERNEL_7: "7", KERNEL_6: "6"}[kernel]
    notebook.run_all()
    assert notebook.output_text(1) == "42"
    assert notebook.execution_count(1) == 3


WAIT_FOR_GO = """
import pathlib, time
print("begun", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def notebook(lab: Lab, browser: Browser) -> Iterator[NotebookPage]:
    lab.write_notebook("smoke.ipynb", ["1 / 0", WAIT_FOR_GO, "'hello'"])
    with open_page(browser, lab, "smoke.ipynb", viewport={"width": 900, "height": 500}) as page:
        yield page
    lab.shutdown_kernels()


def test_a_cell_that_raises_fails_the_test_with_its_traceback(notebook: NotebookPage) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run(0)


def test_output_is_seen_while_the_cell_still_runs(notebook: NotebookPage) -> None:
    notebook.start(1)
    notebook.wait_output(1, "begun")
    assert notebook.is_running(1)
    (notebook.lab.directory / "go").touch()
    notebook.wait_done(1)
    assert not notebook.is_running(1)


def test_both_themes_can_be_photographed(notebook: NotebookPage) -> None:
    notebook.run(2)
    pictures = []
    for theme in ("light", "dark"):
        notebook.set_theme(theme)
        pictures.append(notebook.screenshot(f"smoke-{theme}").read_bytes())
    assert pictures[0] != pictures[1]


def test_the_microphone_is_granted(notebook: NotebookPage) -> None:
    kinds = notebook.evaluate(
        "async () => (await navigator.mediaDevices.getUserMedia({audio: true})).getTracks().map((t) => t.kind)"
    )
    assert kinds == ["audio"]
