from __future__ import annotations

from pathlib import Path

import pytest

from realtime_nb.studies.whole_file import whole_file


def test_a_file_is_new_and_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    with whole_file(path) as unfinished:
        unfinished.write_bytes(b"first")
        assert not path.exists()
    with pytest.raises(OSError, match="full"), whole_file(path) as unfinished:
        unfinished.write_bytes(b"sec")
        raise OSError("The disk is full.")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
