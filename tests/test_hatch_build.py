"""The build hook: when it builds, with which Node, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

import hatch_build


@pytest.fixture
def front_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small front end of its own; npm is not there unless a test says so."""
    folder = tmp_path / "realtime_nb" / "frontend"
    (folder / "src").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    (folder / "src" / "studio.ts").write_text("export default {}")
    monkeypatch.setattr(hatch_build, "ROOT", tmp_path)
    monkeypatch.setattr(hatch_build, "FRONTEND", folder)
    monkeypatch.setattr(hatch_build, "STATIC", tmp_path / "realtime_nb" / "widgets" / "static")
    monkeypatch.delenv("REALTIME_NB_SKIP_FRONTEND", raising=False)
    return folder


def put_program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def fake_npm(folder: Path, calls: Path) -> None:
    """An npm that writes down its calls and builds a bundle."""
    put_program(folder, "node", "echo v20.1.0")
    made = '"$PWD/../widgets/static"'
    install = 'mkdir -p "$PWD/node_modules"'
    build = f"mkdir -p {made}; echo built > {made}/studio.js"
    put_program(folder, "npm", f'echo "$1" >> "{calls}"; if [ "$1" = run ]; then {build}; else {install}; fi')


def test_it_builds_once_and_again_when_a_source_changes(
    front_end: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", tmp_path / "calls")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert hatch_build.build()
    assert not hatch_build.build()
    (front_end / "src" / "studio.ts").write_text("export default {initialize() {}}")
    assert hatch_build.build()
    assert (tmp_path / "calls").read_text().split() == ["install", "run", "run"]


def test_the_bundle_of_a_widget_that_is_no_more_goes(
    front_end: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", tmp_path / "calls")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    hatch_build.STATIC.mkdir(parents=True)
    (hatch_build.STATIC / "gone.js").write_text("old")
    hatch_build.build()
    assert sorted(path.name for path in hatch_build.STATIC.iterdir()) == ["sources.sha256", "studio.js"]


def test_what_npm_leaves_behind_is_not_a_source(front_end: Path) -> None:
    before = hatch_build.sources_digest()
    (front_end / "node_modules").mkdir()
    (front_end / "node_modules" / "x.js").write_text("x")
    assert hatch_build.sources_digest() == before


def test_it_can_be_told_to_skip(front_end: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_NB_SKIP_FRONTEND", "1")
    assert not hatch_build.build()


@pytest.mark.parametrize(
    ("answer", "usable"), [("v20.0.0", True), ("v24.1.0", True), ("v18.19.0", False), ("?", False)]
)
def test_only_a_new_enough_node_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, usable: bool
) -> None:
    put_program(tmp_path / "bin", "node", f"echo {answer}")
    put_program(tmp_path / "bin", "npm", "true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (hatch_build.node_on_path() is not None) is usable


def test_without_node_it_becomes_a_build_requirement(front_end: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = object.__new__(hatch_build.FrontendBuildHook)
    monkeypatch.setattr(hatch_build, "node_on_path", lambda: None)
    assert hook.dependencies() == [hatch_build.NODE_REQUIREMENT]
    monkeypatch.setattr(hatch_build, "node_on_path", lambda: Path("node"))
    assert hook.dependencies() == []


def test_without_any_node_it_says_what_to_do(front_end: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "node_on_path", lambda: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(hatch_build.FrontendError, match=r"Install Node\.js"):
        hatch_build.build()


def test_a_build_that_fails_is_named(front_end: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path / "bin", "node", "echo v20.1.0")
    put_program(tmp_path / "bin", "npm", "exit 3")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(hatch_build.FrontendError, match="npm install"):
        hatch_build.build()
