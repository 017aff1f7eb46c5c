"""The notebook about what a transcript loses: its shape. That it runs is tested with all the others."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

PATH = Path(__file__).resolve().parents[2] / "notebooks" / "02_what_the_transcript_loses.ipynb"


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(PATH, as_version=4)


def test_it_predicts_then_hears_then_measures_then_concludes(notebook: nbformat.NotebookNode) -> None:
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    order = [prose.index(part) for part in ("1. Predict", "4. Hear it", "5. Measure", "What we may conclude")]
    assert order == sorted(order)
    for promise in (
        "Who answers?",
        "OPENAI_API_KEY",
        "What we may not conclude",
        "*n* = 1",
        "so we make them, and say so",
    ):
        assert promise in prose


def test_the_microphone_is_not_needed(notebook: nbformat.NotebookNode) -> None:
    code = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
    assert "if recorder.clip else" in code["own-through"]
    assert ".record(" not in "".join(code.values())
