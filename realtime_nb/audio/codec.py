"""Speech to the formats that clients ask for, as a stream: WAV and PCM by hand, the rest through libsndfile.

libsndfile (LGPL-2.1, inside the `soundfile` wheel) is what files are read with, too. It has no AAC encoder. FFmpeg's
wheels have one, but bring GPL code, and so stay out of the base install.
"""

from __future__ import annotations

import contextlib
import os
import struct
from threading import Lock
from typing import Any, Literal, Protocol, get_args

import msgspec
import numpy as np

from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.pcm import Pcm16, pcm16_to_bytes
from realtime_nb.errors import ConfigurationError

CodecName = Literal["mp3", "opus", "flac", "wav", "pcm"]
CODECS: tuple[CodecName, ...] = get_args(CodecName)
"""What can be written."""
MEDIA_TYPES: dict[CodecName, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg; codecs=opus",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
MP3_DELAY_MS = 70
"""Silence that an MP3 begins with, as any decoder plays it: 24 ms of an empty first frame, 46 ms of filters."""

_UNKNOWN_LENGTH = 0xFFFF_FFFF
_WAV_HEADER_BYTES = 44
_OPUS_PAGE_MS = 100.0
_SFC_SET_OGG_PAGE_LATENCY_MS = 0x1302


class _SndFormat(msgspec.Struct, frozen=True):
    """What `soundfile.SoundFile` is opened with."""

    container: str
    subtype: str
    options: dict[str, Any] = {}


_SNDFILE_FORMATS: dict[CodecName, _SndFormat] = {
    # A constant bit rate (64 kbit/s at 24 kHz): players work out the length of a stream that has no index.
    "mp3": _SndFormat("MP3", "MPEG_LAYER_III", {"bitrate_mode": "CONSTANT", "compression_level": 0.6}),
    "opus": _SndFormat("OGG", "OPUS"),
    "flac": _SndFormat("FLAC", "PCM_16"),
}


class AudioEncoder(Protocol):
    """One stream of mono speech being written. Calls may come from any thread, one after the other.

    Attributes:
        streams: bytes come out as audio goes in; False where the format needs the length at its beginning.
        computes: calls take time (about 2 % of the audio's length for opus, less for the others): keep them off a loop.
    """

    streams: bool
    computes: bool

    def encode(self, pcm16: Pcm16) -> bytes:
        """Return the bytes that more audio brings, maybe none."""
        ...

    def finish(self) -> bytes:
        """Return the bytes that are left and end the stream."""
        ...


def open_encoder(codec: CodecName, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ) -> AudioEncoder:
    """Return an encoder for one stream.

    A WAV has the largest length in its header, which readers take for "to the end of the file". A FLAC comes out whole
    at the end: with an unknown length libsndfile itself and much else cannot read it.

    Raises:
        ConfigurationError: `soundfile` does not load, or cannot write this.
    """
    if codec in ("wav", "pcm"):
        return _PcmEncoder(sample_rate_hz if codec == "wav" else None)
    return _SndfileEncoder(codec, sample_rate_hz)


def encode_audio(pcm16: Pcm16, codec: CodecName, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ) -> bytes:
    """Return a whole recording as a file of the format, its header complete.

    Raises:
        ConfigurationError: `soundfile` does not load.
    """
    if codec == "wav":
        return wav_header(sample_rate_hz, data_bytes=2 * len(pcm16)) + pcm16_to_bytes(pcm16)
    encoder = open_encoder(codec, sample_rate_hz)
    return encoder.encode(pcm16) + encoder.finish()


def wav_header(sample_rate_hz: int, *, data_bytes: int | None = None) -> bytes:
    """Return the header of a mono PCM16 WAV; without a length it is one for a stream."""
    riff = _UNKNOWN_LENGTH if data_bytes is None else data_bytes + _WAV_HEADER_BYTES - 8
    data = _UNKNOWN_LENGTH if data_bytes is None else data_bytes
    form = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)
    return struct.pack("<4sI8s", b"RIFF", riff, b"WAVEfmt ") + form + struct.pack("<4sI", b"data", data)


class _PcmEncoder:
    streams = True
    computes = False

    def __init__(self, header_rate_hz: int | None) -> None:
        self._header = wav_header(header_rate_hz) if header_rate_hz is not None else b""

    def encode(self, pcm16: Pcm16) -> bytes:
        header, self._header = self._header, b""
        return header + pcm16_to_bytes(pcm16)

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


class _SndfileEncoder:
    computes = True

    def __init__(self, codec: CodecName, sample_rate_hz: int) -> None:
        self.streams = codec != "flac"
        self._sink = _Sink()
        self._lock = Lock()
        wanted = _SNDFILE_FORMATS[codec]
        try:
            self._file: Any = _soundfile().SoundFile(
                self._sink, "w", sample_rate_hz, 1, wanted.subtype, format=wanted.container, **wanted.options
            )
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"The libsndfile of this machine cannot write {codec} ({error}).",
                what_now="The wheel of soundfile brings one that can: pip install --force-reinstall soundfile",
            ) from error
        if codec == "opus":
            self._shorten_pages()

    def encode(self, pcm16: Pcm16) -> bytes:
        with self._lock:
            self._file.write(np.ascontiguousarray(pcm16))
            return self._sink.take() if self.streams else b""

    def finish(self) -> bytes:
        with self._lock:
            self._file.close()
            return self._sink.take()

    def _shorten_pages(self) -> None:
        """Let a page of 100 ms out as soon as it is full; libsndfile would wait for a second of audio.

        `soundfile` has no public name for this. Without it the stream is the same, only later.
        """
        module = _soundfile()
        with contextlib.suppress(AttributeError, TypeError):
            value = module._ffi.new("double*", _OPUS_PAGE_MS)
            module._snd.sf_command(self._file._file, _SFC_SET_OGG_PAGE_LATENCY_MS, value, 8)


class _Sink:
    """What libsndfile writes into. What was taken cannot be changed: later writes to the header are dropped."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._taken = 0
        self._at = 0

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data, self._data = bytes(self._data), bytearray()
        self._taken += len(data)
        return data

    def write(self, data: Any) -> int:
        piece = bytes(data)
        start = self._at - self._taken
        if start >= 0:
            self._data[start : start + len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._taken + len(self._data)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        return b""


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"Audio files are written with soundfile, which does not load here ({error}).",
            what_now="Install it with: pip install --force-reinstall soundfile",
        ) from error
    return soundfile
