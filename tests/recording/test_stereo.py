from __future__ import annotations

import errno
import wave
from pathlib import Path

import numpy as np
import pytest

from realtime_nb.recording.stereo import StereoFile


def frames(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 24_000, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def test_channels_are_written_at_their_own_pace(tmp_path: Path) -> None:
    stereo = StereoFile(tmp_path / "a.wav")
    stereo.write(0, 0, np.full(100, 1, np.int16))
    stereo.write(1, 50, np.full(100, 2, np.int16))
    stereo.write(0, 300_000, np.full(10, 3, np.int16))
    stereo.write(1, 299_995, np.full(10, 4, np.int16))
    stereo.close()
    stereo.close()
    out = frames(tmp_path / "a.wav")
    assert len(out) == 300_010
    assert (out[:100, 0] == 1).all()
    assert (out[50:150, 1] == 2).all()
    assert not out[150:299_995].any()
    assert out[299_995:, 1].tolist() == [4] * 10 + [0] * 5
    assert out[300_000:, 0].tolist() == [3] * 10


def test_it_is_a_wav_file_at_any_moment(tmp_path: Path) -> None:
    stereo = StereoFile(tmp_path / "a.wav")
    assert len(frames(tmp_path / "a.wav")) == 0
    stereo.write(0, 0, np.full(100, 7, np.int16))
    assert len(frames(tmp_path / "a.wav")) == 0
    stereo.flush()
    assert (frames(tmp_path / "a.wav")[:100, 0] == 7).all()
    stereo.close()


def test_a_full_disk_raises() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left") as raised:
        StereoFile(full)
    assert raised.value.errno == errno.ENOSPC
