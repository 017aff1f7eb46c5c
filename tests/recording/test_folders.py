from __future__ import annotations

from datetime import datetime
from pathlib import Path

from realtime_nb.recording.folders import dated_folder, folder_for

NOW = datetime(2026, 11, 22, 20, 31, 5)


def test_a_taken_name_is_not_taken_again(tmp_path: Path) -> None:
    assert dated_folder(tmp_path, NOW).name == "2026-11-22_20-31-05"
    dated_folder(tmp_path, NOW).mkdir()
    assert dated_folder(tmp_path, NOW).name == "2026-11-22_20-31-05-2"


def test_the_argument_comes_before_the_environment(tmp_path: Path) -> None:
    environ = {"REALTIME_NB_RECORD": str(tmp_path)}
    assert folder_for("here", environ) == Path("here")
    assert folder_for(False, {}) is None
    by_environment, by_true = folder_for(False, environ), folder_for(True, {})
    assert by_environment is not None
    assert by_environment.parent == tmp_path
    assert by_true is not None
    assert by_true.parent == Path("recordings")
