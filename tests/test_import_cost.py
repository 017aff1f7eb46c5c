"""`import realtime_nb` is lazy: nothing heavy is loaded until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "anywidget",
    "asyncio",
    "httpx",
    "IPython",
    "ipywidgets",
    "matplotlib",
    "msgspec",
    "numpy",
    "openai",
    "pydantic",
    "soundfile",
    "starlette",
    "uvicorn",
    "websockets",
)


def loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(answer.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert loaded_after("import realtime_nb") & set(HEAVY) == set()


def test_the_check_can_fail() -> None:
    assert "numpy" in loaded_after("import numpy")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("realtime_nb.protocol.client", {"anywidget", "ipywidgets", "matplotlib", "openai", "starlette", "websockets"}),
        ("realtime_nb.audio", {"anywidget", "ipywidgets", "matplotlib", "openai", "starlette", "websockets"}),
        ("realtime_nb.cli", {"anywidget", "ipywidgets", "matplotlib", "openai", "uvicorn"}),
        ("realtime_nb.studies.study", {"dask", "matplotlib", "openai", "pandas", "pyarrow", "scipy", "tqdm"}),
    ],
)
def test_a_layer_loads_only_what_it_uses(module: str, unwanted: set[str]) -> None:
    assert loaded_after(f"import {module}") & unwanted == set()
