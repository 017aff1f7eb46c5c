"""Every notebook runs top to bottom in a fresh kernel, with no browser, no key and no network."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))

SHOWN = {
    "01_three_architectures": (
        r"chain ÷ realtime, median of paired ratios: .*n = [3-6]",  # a run may fail on a busy machine, and be said to
        r"measured · n = 24 runs · .* · at embedded",
        r"You said 600 ms. Measured: realtime, median voice-to-voice: [\d,]+ ms",
        r"Race: Tell me a joke\nChain, batch: ",
        r"Race: Hello\nSIMULATED: network: 4G \(simulated\)\nChain, batch: ",
        r"Race: Hello\nSIMULATED: stage delays: hosted-typical \(simulated\)\nChain, batch: ",
    ),
}
"""What must be read in the outputs."""


Run = Callable[[Path], nbformat.NotebookNode]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run a notebook in a folder of its own and return it with its outputs; each is run once."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("OPENAI_API_KEY", "REALTIME_NB_URL", "REALTIME_NB_ENGINE"):
            environment.delenv(name, raising=False)

        @functools.cache
        def once(path: Path) -> nbformat.NotebookNode:
            folder = tmp_path_factory.mktemp(path.stem)
            environment.setenv("IPYTHONDIR", str(folder))
            notebook = nbformat.read(path, as_version=4)
            where = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
            return notebook

        yield once


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.timeout(300)
def test_a_notebook_runs_all(path: Path, run: Run) -> None:
    notebook = run(path)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    shown = "\n".join(str(output.get("text") or output.data.get("text/plain", "")) for output in outputs)
    for wanted in SHOWN.get(path.stem, ()):
        assert re.search(wanted, shown), f"{wanted!r} is not in\n{shown}"


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_a_lesson_is_short_cells_between_words(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(1 <= len(cell.source.splitlines()) <= 7 for cell in code)
    assert 0.4 <= 1 - len(code) / len(cells) <= 0.5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_the_first_notebook_ends_in_a_spoken_turn_and_the_studio(run: Run) -> None:
    notebook = run(next(path for path in NOTEBOOKS if path.name.startswith("00_")))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 6
    assert all(len(cell.source.splitlines()) <= 3 for cell in code)
    answer = code[3].outputs[-1]
    assert "Turn completed" in answer.data["text/plain"]
    assert "<audio" in answer.data["text/html"]
    assert "order" in answer.data["text/plain"].lower()
    assert "application/vnd.jupyter.widget-view+json" in code[5].outputs[-1].data
