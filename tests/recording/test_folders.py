from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from realtime_nb.errors import ConfigurationError
from realtime_nb.recording.folders import dated_folder, folder_for

NOW = datetime(2026, 11, 22, 20, 31, 5)


def test_a_taken_name_is_not_taken_again(tmp_path: Path) -> None:
    assert dated_folder(tmp_path / "new", NOW).name == "2026-11-22_20-31-05"
    assert dated_folder(tmp_path / "new", NOW).name == "2026-11-22_20-31-05-2"


def test_two_in_the_same_second_get_two_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as kernels:
        folders = list(kernels.map(lambda _: dated_folder(tmp_path, NOW), range(16)))
    assert len(set(folders)) == 16
    assert all(folder.is_dir() for folder in folders)


def test_where_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="No recording can be written"):
        dated_folder(tmp_path / "file", NOW)


def test_the_argument_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"REALTIME_NB_RECORD": str(tmp_path)}
    assert folder_for("here", environ) == Path("here")
    assert folder_for(False, {}) is None
    by_environment, by_true = folder_for(False, environ), folder_for(True, {})
    assert by_environment is not None
    assert by_environment.parent == tmp_path
    assert by_true is not None
    assert by_true.parent == Path("recordings")
