"""Every notebook runs top to bottom in a fresh kernel, with no browser, no key and no network."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.timeout(180)
def test_a_notebook_runs_all(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "REALTIME_NB_URL", "REALTIME_NB_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_the_first_notebook_ends_in_a_spoken_turn_and_the_studio(tmp_path: Path) -> None:
    path = next(path for path in NOTEBOOKS if path.name.startswith("00_"))
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 6
    assert all(len(cell.source.splitlines()) <= 3 for cell in code)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    answer = code[3].outputs[-1]
    assert "Turn completed" in answer.data["text/plain"]
    assert "<audio" in answer.data["text/html"]
    assert "order" in answer.data["text/plain"].lower()
    assert "application/vnd.jupyter.widget-view+json" in code[5].outputs[-1].data
