"""Read audio files with `soundfile`, and say clearly what is wrong with those that cannot be used."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.format import MAX_CLIP_SECONDS
from realtime_nb.audio.pcm import pcm16_from_float, to_mono
from realtime_nb.audio.resample import check_sample_rate
from realtime_nb.errors import AudioError, ConfigurationError

if TYPE_CHECKING:
    import soundfile

BLOCK_FRAMES = 1 << 18
"""Frames decoded at a time, so that an hour of audio needs little more memory than its samples."""

_FORMATS = "wav, flac, ogg or mp3"


def read_audio(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[npt.NDArray[np.int16], int, str]:
    """Return mono PCM16 samples, their rate in Hz, and the file's name ("" when unknown).

    Raises:
        AudioError: see `AudioClip.load`.
        ConfigurationError: `soundfile` does not load.
    """
    data, name = _read_bytes(source)
    label = f"“{name}”" if name else "The file"
    if not data:
        raise AudioError(f"{label} is empty (0 bytes).", what_now="Record or upload it again.")
    with _open(data, label) as file:
        check_sample_rate(file.samplerate)
        limit = MAX_CLIP_SECONDS * file.samplerate
        if file.frames > limit:
            raise AudioError(
                f"{label} lasts {file.frames / file.samplerate / 60:.0f} minutes; a clip may last an hour.",
                what_now="Cut it into shorter pieces.",
            )
        try:
            blocks = [
                pcm16_from_float(to_mono(block)) for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True)
            ]
        except RuntimeError as error:
            raise _unreadable(label) from error
        rate_hz = int(file.samplerate)
    if not sum(map(len, blocks)):
        raise AudioError(f"{label} holds no samples.", what_now="Check the program that wrote it.")
    return np.concatenate(blocks), rate_hz, name


def _read_bytes(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[bytes, str]:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), ""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            return path.read_bytes(), path.name
        except OSError as error:
            raise AudioError(
                f"“{path.name}” could not be read: {error.strerror or error}.", what_now="Check the path."
            ) from error
    if not hasattr(source, "read"):
        raise AudioError(
            f"A clip cannot be loaded from a {type(source).__name__}.",
            what_now="Give a path, the bytes of a file or an open file; for an array use AudioClip.from_float.",
        )
    name = getattr(source, "name", "")
    return source.read(), Path(name).name if isinstance(name, str) else ""


def _open(data: bytes, label: str) -> soundfile.SoundFile:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"Audio files are read with soundfile, which does not load here ({error}).",
            what_now="Install it with: pip install --force-reinstall soundfile",
        ) from error
    stream: Any = io.BytesIO(data)
    try:
        return soundfile.SoundFile(stream)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _unreadable(label) from error


def _unreadable(label: str) -> AudioError:
    return AudioError(
        f"{label} cannot be read as audio: not an audio file, or damaged.", what_now=f"Use a {_FORMATS} file."
    )
