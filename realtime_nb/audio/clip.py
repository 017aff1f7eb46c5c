"""`AudioClip`: a piece of mono PCM16 audio that knows its rate, shows itself in a cell, and never changes."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import wave
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from realtime_nb.audio import pcm
from realtime_nb.audio.file_reading import read_audio
from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ, ms_to_samples, samples_to_ms
from realtime_nb.audio.resample import check_sample_rate, resample
from realtime_nb.audio.static_view import WaveformRegion, waveform_svg
from realtime_nb.errors import AudioError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pcm16 = npt.NDArray[np.int16]

EMBEDDED_PLAYER_MAX_MS = 120_000
"""Longer clips are drawn without a player, so that a notebook does not grow by megabytes a cell."""


@dataclass(frozen=True, eq=False, repr=False)
class AudioClip:
    """Mono PCM16 audio, immutable.

    Attributes:
        samples: int16, shape `(n_samples,)`, read-only; may be empty.
        sample_rate_hz: 4,000 to 384,000.
        title: for people.
        speech_start_ms: where speech begins, if known.
        speech_end_ms: where speech truly ends, if known.
        origin: who spoke, and the licence.
        transcript: what is said.

    Raises:
        AudioError: the array is not int16 with one dimension, or the rate is absurd.
    """

    samples: Pcm16
    sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ
    _: dataclasses.KW_ONLY
    title: str = ""
    speech_start_ms: float | None = None
    speech_end_ms: float | None = None
    origin: str = ""
    transcript: str = ""

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise AudioError(
                f"A clip takes int16 samples of shape (n,), not {samples.dtype} of shape {samples.shape}.",
                what_now="Use AudioClip.from_float for floats, AudioClip.load for files.",
            )
        check_sample_rate(self.sample_rate_hz)
        if samples.flags.writeable or samples.base is not None:
            samples = samples.copy()
            samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)

    @classmethod
    def load(cls, source: str | os.PathLike[str] | bytes | BinaryIO, *, title: str = "") -> AudioClip:
        """Read wav, flac, ogg or mp3 of any depth, rate and channel count as 24 kHz mono.

        Args:
            source: a path, the bytes of a file, or an open binary file.
            title: the file's name when left out and known.

        Raises:
            AudioError: nothing there, not audio, no samples, an absurd rate, values that are not numbers,
                or more than an hour.
        """
        samples, rate_hz, name = read_audio(source)
        return cls(resample(samples, rate_hz, WIRE_SAMPLE_RATE_HZ), title=title or name)

    @classmethod
    def from_float(cls, samples: npt.ArrayLike, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ, **details: Any) -> AudioClip:
        """Return a clip of floats in -1 to 1, shape `(n,)` or `(n, channels)`; louder values are clipped.

        Raises:
            AudioError: no samples, another shape, or values that are not numbers.
        """
        array = np.asarray(samples, dtype=np.float64)
        if not array.size:
            raise AudioError("The array holds no samples.", what_now="Use AudioClip.silence(ms) to mean silence.")
        return cls(pcm.pcm16_from_float(pcm.to_mono(array)), sample_rate_hz, **details)

    @classmethod
    def silence(cls, duration_ms: float, sample_rate_hz: int = WIRE_SAMPLE_RATE_HZ) -> AudioClip:
        """Return digital silence."""
        return cls(np.zeros(ms_to_samples(duration_ms, sample_rate_hz), dtype=np.int16), sample_rate_hz)

    @property
    def duration_ms(self) -> float:
        """How long the clip lasts, unrounded."""
        return samples_to_ms(len(self.samples), self.sample_rate_hz)

    @property
    def rms_dbfs(self) -> float:
        """Level in dB below full scale, -120 for silence."""
        return pcm.rms_dbfs(self.samples)

    def resampled(self, sample_rate_hz: int) -> AudioClip:
        """Return the same clip at another rate."""
        samples = resample(self.samples, self.sample_rate_hz, sample_rate_hz)
        return dataclasses.replace(self, samples=samples, sample_rate_hz=sample_rate_hz)

    def trimmed(self, start_ms: float = 0, end_ms: float | None = None) -> AudioClip:
        """Return the stretch from `start_ms` to `end_ms` (both cut to the clip); speech marks move along."""
        start = min(len(self.samples), ms_to_samples(max(0.0, start_ms), self.sample_rate_hz))
        end = len(self.samples) if end_ms is None else ms_to_samples(max(0.0, end_ms), self.sample_rate_hz)
        samples = self.samples[start : max(start, end)]
        duration_ms = samples_to_ms(len(samples), self.sample_rate_hz)
        first_ms = samples_to_ms(start, self.sample_rate_hz)

        def moved(mark_ms: float | None) -> float | None:
            return None if mark_ms is None else min(max(mark_ms - first_ms, 0.0), duration_ms)

        return dataclasses.replace(
            self,
            samples=samples,
            speech_start_ms=moved(self.speech_start_ms),
            speech_end_ms=moved(self.speech_end_ms),
        )

    def __add__(self, other: AudioClip) -> AudioClip:
        """Return both clips one after the other, at this clip's rate."""
        if not isinstance(other, AudioClip):
            return NotImplemented
        tail = other.resampled(self.sample_rate_hz)

        def shifted(mark_ms: float | None) -> float | None:
            return None if mark_ms is None else mark_ms + self.duration_ms

        start_ms = self.speech_start_ms if self.speech_start_ms is not None else shifted(tail.speech_start_ms)
        end_ms = shifted(tail.speech_end_ms)
        return AudioClip(
            np.concatenate((self.samples, tail.samples)),
            self.sample_rate_hz,
            title=_joined(" + ", self.title, tail.title),
            speech_start_ms=start_ms,
            speech_end_ms=end_ms if end_ms is not None else self.speech_end_ms,
            origin=_joined("; ", self.origin, tail.origin),
            transcript=" ".join(part for part in (self.transcript, tail.transcript) if part),
        )

    def pcm16_bytes(self) -> bytes:
        """Return the samples as little-endian PCM16."""
        return pcm.pcm16_to_bytes(self.samples)

    def to_wav_bytes(self) -> bytes:
        """Return a WAV file."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.sample_rate_hz)
            file.writeframes(self.pcm16_bytes())
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a WAV file and return its path."""
        target = Path(path)
        target.write_bytes(self.to_wav_bytes())
        return target

    def peaks(self, n_columns: int) -> npt.NDArray[np.int8]:
        """Return the lowest and highest value in each of `n_columns` equal stretches: int8, `(n_columns, 2)`."""
        peaks = np.zeros((n_columns, 2), dtype=np.int8)
        n_samples = len(self.samples)
        if n_samples and n_columns:
            starts = np.arange(n_columns) * n_samples // n_columns
            peaks[:, 0] = np.minimum.reduceat(self.samples, starts) >> 8
            peaks[:, 1] = np.maximum.reduceat(self.samples, starts) >> 8
        return peaks

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waveform, seconds across, with matplotlib; return the axes."""
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(figsize=(8, 2))[1]
        columns = min(2_000, max(1, len(self.samples)))
        low, high = (self.peaks(columns) / 128).T
        ax.fill_between(np.linspace(0, self.duration_ms / 1000, columns), low, high, step="mid", linewidth=0.5)
        if self.speech_start_ms is not None and self.speech_end_ms is not None:
            ax.axvspan(self.speech_start_ms / 1000, self.speech_end_ms / 1000, alpha=0.12, label="speech")
        ax.set(xlabel="time (s)", ylabel="amplitude", ylim=(-1, 1), title=self.title)
        return ax

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AudioClip):
            return NotImplemented
        return self._details() == other._details() and np.array_equal(self.samples, other.samples)

    def __hash__(self) -> int:
        return hash((self._details(), self.samples.tobytes()))

    def _details(self) -> tuple[object, ...]:
        marks = (self.speech_start_ms, self.speech_end_ms)
        return (self.sample_rate_hz, self.title, *marks, self.origin, self.transcript)

    def __repr__(self) -> str:
        title = f"{self.title!r}, " if self.title else ""
        return f"AudioClip({title}{self.duration_ms / 1000:.2f} s, {self.sample_rate_hz} Hz, {self.rms_dbfs:.1f} dBFS)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        regions = []
        if self.speech_start_ms is not None and self.speech_end_ms is not None:
            regions.append(WaveformRegion(self.speech_start_ms, self.speech_end_ms, "speech"))
        caption = " · ".join(part for part in (self.title, f"{self.duration_ms / 1000:.2f} s", self.origin) if part)
        said = f'<div style="font-style:italic">“{escape(self.transcript)}”</div>' if self.transcript else ""
        return (
            '<figure style="margin:0;max-width:480px">'
            f"{waveform_svg(self, regions=regions)}{self._player_html()}"
            f'<figcaption style="font-size:12px;opacity:.8">{said}{escape(caption)}</figcaption></figure>'
        )

    def _player_html(self) -> str:
        if not len(self.samples):
            return "<div>No audio.</div>"
        if self.duration_ms > EMBEDDED_PLAYER_MAX_MS:
            return "<div>Too long for a player in the notebook: save it with <code>.save(path)</code>.</div>"
        data = base64.b64encode(self.to_wav_bytes()).decode()
        return f'<audio controls preload="metadata" style="width:100%" src="data:audio/wav;base64,{data}"></audio>'


def _joined(separator: str, *parts: str) -> str:
    return separator.join(dict.fromkeys(part for part in parts if part))
