"""What `pip install .` gives: the built front end and all data, no sources of the front end, no litter."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.tree import PACKAGE, ROOT, name_of, project_files

pytestmark = pytest.mark.timeout(400)


def build(kind: str, folder: Path) -> Path:
    """Build with hatchling in this environment, which has the build requirements."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=380)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel"))) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def sdist_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    with tarfile.open(build("sdist", tmp_path_factory.mktemp("sdist"))) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def test_the_wheel_has_every_module_and_data_file(wheel_names: set[str]) -> None:
    ours = {name_of(p) for p in project_files() if PACKAGE in p.parents and PACKAGE / "frontend" not in p.parents}
    assert ours - wheel_names == set()


def test_the_wheel_has_the_built_front_end_and_not_its_sources(wheel_names: set[str]) -> None:
    assert any(n.startswith("realtime_nb/widgets/static/") and n.endswith(".js") for n in wheel_names)
    assert not [n for n in wheel_names if n.startswith("realtime_nb/frontend/") or "node_modules" in n]
    assert {n.partition("/")[0].partition("-")[0] for n in wheel_names} == {"realtime_nb"}


def test_the_wheel_has_its_licence(wheel_names: set[str]) -> None:
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in wheel_names)


def test_the_sdist_builds_without_node(sdist_names: set[str]) -> None:
    assert {"realtime_nb/widgets/static/sources.sha256", "realtime_nb/frontend/package.json"} <= sdist_names
    assert {"hatch_build.py", "pyproject.toml", "LICENSE", "Makefile", ".ci/run"} <= sdist_names
    assert not [n for n in sdist_names if "node_modules" in n or "__pycache__" in n or n.startswith(".venv")]
