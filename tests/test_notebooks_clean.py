"""Notebooks are stored without outputs, counts, widget state or the name of somebody's kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.tree import name_of, project_files

NOTEBOOKS = [path for path in project_files() if path.suffix == ".ipynb"]


def test_there_is_a_first_notebook() -> None:
    assert "notebooks/00_start_here.ipynb" in map(name_of, NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook_is_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.get("kernelspec", {}).get("name", "python3") == "python3"
    assert set(notebook.metadata.get("language_info", {})) <= {"name"}
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert cell.source.strip()
