"""How something was said: melody, loudness, tempo, pauses and emphasis of a recording, as numbers with their method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.clip import AudioClip
from realtime_nb.audio.format import WIRE_SAMPLE_RATE_HZ
from realtime_nb.audio.pitch import HOP_MS, MAX_F0_HZ, MIN_F0_HZ, PitchTrack, pitch_track
from realtime_nb.audio.prominence import EMPHASIS_RULE, Prominence, prominences
from realtime_nb.audio.syllables import (
    PAUSE_METHOD,
    RATE_METHOD,
    Span,
    Syllable,
    pauses,
    sounding_spans,
    syllables,
)
from realtime_nb.errors import AudioError

MIN_CLIP_MS = 150.0
MIN_VOICED_MS = 100.0
VERY_QUIET_DBFS = -60.0
CLIPPED_SHARE = 0.001
END_MS = 500.0
"""The melody's end: voiced frames in the last so many ms of voice."""
MIN_END_FRAMES = 8
MIN_VOICED_RUN_FRAMES = 3
JUMP_OCTAVES = 0.5

F0_METHOD = (
    f"normalised autocorrelation (Boersma 1993), {MIN_F0_HZ:g} to {MAX_F0_HZ:g} Hz, a frame every {HOP_MS} ms; "
    "runs under 30 ms and octave jumps (an octave from the median, half of one from the neighbours) are left out; "
    "range: 5th to 95th percentile"
)

Floats = npt.NDArray[np.float64]
TimedWord = tuple[str, float, float]


@dataclass(frozen=True, eq=False, repr=False)
class Prosody:
    """What `prosody` found. A number that could not be measured is None, and `notes` say why.

    Attributes:
        clip: what was measured.
        times_ms: middle of each frame, float64, (n_frames,), one every 10 ms.
        f0_hz: fundamental frequency, (n_frames,), NaN where unvoiced.
        energy_db: relative to full scale, (n_frames,), over 50 ms.
        spans: stretches of speech between pauses.
        pauses: silences between them.
        syllables: nuclei found by energy and voicing.
        words: (word, start_ms, end_ms) as given; empty when nobody recognised them.
        prominence: of every word, or of every syllable where no words are known.
        notes: what is missing or doubtful, in words.
    """

    clip: AudioClip
    times_ms: Floats
    f0_hz: Floats
    energy_db: Floats
    spans: tuple[Span, ...] = ()
    pauses: tuple[Span, ...] = ()
    syllables: tuple[Syllable, ...] = ()
    words: tuple[TimedWord, ...] = ()
    prominence: tuple[Prominence, ...] = ()
    notes: tuple[str, ...] = ()
    methods: dict[str, str] = field(
        default_factory=lambda: {
            "f0": F0_METHOD,
            "rate": RATE_METHOD,
            "pauses": PAUSE_METHOD,
            "emphasis": EMPHASIS_RULE,
        }
    )

    @property
    def voiced(self) -> Floats:
        """F0 of the voiced frames, Hz, (n_voiced,)."""
        return self.f0_hz[~np.isnan(self.f0_hz)]

    @property
    def f0_median_hz(self) -> float | None:
        """The voice's usual pitch."""
        return float(np.median(self.voiced)) if len(self.voiced) else None

    @property
    def f0_range_hz(self) -> tuple[float, float] | None:
        """5th and 95th percentile of F0."""
        if not len(self.voiced):
            return None
        low, high = np.percentile(self.voiced, (5, 95))
        return float(low), float(high)

    @property
    def f0_range_st(self) -> float | None:
        """The same range in semitones: how lively the melody is, whatever the voice."""
        if (span := self.f0_range_hz) is None:
            return None
        return 12 * float(np.log2(span[1] / span[0]))

    @property
    def f0_end_slope_st_per_s(self) -> float | None:
        """Rise (often a question) or fall at the end: line through the last 500 ms of voice, semitones per second."""
        voiced_at = np.flatnonzero(~np.isnan(self.f0_hz))
        if not len(voiced_at):
            return None
        times_ms = self.times_ms[voiced_at]
        end = times_ms > times_ms[-1] - END_MS
        if end.sum() < MIN_END_FRAMES:
            return None
        semitones = 12 * np.log2(self.f0_hz[voiced_at][end])
        return float(np.polyfit(times_ms[end] / 1000, semitones, 1)[0])

    @property
    def energy_range_db(self) -> float | None:
        """5th to 95th percentile of the level while somebody speaks."""
        inside = np.zeros(len(self.times_ms), dtype=bool)
        for span in self.spans:
            inside |= (self.times_ms >= span.start_ms) & (self.times_ms <= span.end_ms)
        if not inside.any():
            return None
        low, high = np.percentile(self.energy_db[inside], (5, 95))
        return float(high - low)

    @property
    def speech_ms(self) -> float | None:
        """From the first to the last sound, pauses included."""
        return self.spans[-1].end_ms - self.spans[0].start_ms if self.spans else None

    @property
    def pause_total_ms(self) -> float | None:
        """How much of that was pauses."""
        return sum(pause.duration_ms for pause in self.pauses) if self.spans else None

    @property
    def syllables_per_s(self) -> float | None:
        """Speech rate: syllables in a second of speech, pauses included."""
        return len(self.syllables) * 1000 / self.speech_ms if self.speech_ms and self.syllables else None

    @property
    def words_per_minute(self) -> float | None:
        """Speech rate in words, where a recogniser gave them."""
        return len(self.words) * 60_000 / self.speech_ms if self.speech_ms and self.words else None

    @property
    def emphasis(self) -> tuple[Prominence, ...]:
        """Words or syllables that stand out: candidates for emphasis."""
        return tuple(each for each in self.prominence if each.emphasised)

    def table(self) -> dict[str, float | int | str | None]:
        """Return the numbers by name; names carry units."""
        low_hz, high_hz = self.f0_range_hz or (None, None)
        return {
            "duration_ms": self.clip.duration_ms,
            "speech_ms": self.speech_ms,
            "f0_median_hz": self.f0_median_hz,
            "f0_low_hz": low_hz,
            "f0_high_hz": high_hz,
            "f0_range_st": self.f0_range_st,
            "f0_end_slope_st_per_s": self.f0_end_slope_st_per_s,
            "energy_range_db": self.energy_range_db,
            "syllables": len(self.syllables) if self.spans else None,
            "syllables_per_s": self.syllables_per_s,
            "words_per_minute": self.words_per_minute,
            "pauses": len(self.pauses) if self.spans else None,
            "pause_total_ms": self.pause_total_ms,
            "emphasis": " ".join(each.label or f"{each.start_ms:.0f} ms" for each in self.emphasis) or None,
        }

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={shown(value)}" for name, value in self.table().items() if value is not None)
        return f"Prosody({self.clip.title!r}, {facts}{''.join(f'; {note}' for note in self.notes)})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{label(name)}</th>'
            f'<td style="text-align:right">{escape(shown(value))}</td></tr>'
            for name, value in self.table().items()
        )
        notes = "".join(f"<div>⚠ {escape(note)}</div>" for note in self.notes)
        methods = "<br>".join(f"<b>{escape(name)}</b>: {escape(text)}" for name, text in self.methods.items())
        return (
            f"<table><caption>{escape(self.clip.title or 'Prosody')}</caption>{rows}</table>{notes}"
            f"<details><summary>how it was measured</summary><small>{methods}</small></details>"
        )


def prosody(clip: AudioClip, *, words: Sequence[TimedWord] = ()) -> Prosody:
    """Measure how a clip was said.

    Args:
        clip: speech of one person; any rate.
        words: (word, start_ms, end_ms) of a recogniser; makes emphasis a matter of words instead of syllables.

    Returns:
        The measurements. Silence, noise and very short sounds give None where nothing could be measured, and a note.

    Raises:
        AudioError: the clip is shorter than 150 ms.
    """
    if clip.duration_ms < MIN_CLIP_MS:
        raise AudioError(
            f"The clip lasts {clip.duration_ms:.0f} ms; melody and tempo need at least {MIN_CLIP_MS:.0f} ms.",
            what_now="Give a clip with at least one spoken word.",
        )
    heard = clip if clip.sample_rate_hz <= WIRE_SAMPLE_RATE_HZ else clip.resampled(WIRE_SAMPLE_RATE_HZ)
    track, dropped = _cleaned(pitch_track(heard.samples, heard.sample_rate_hz))
    notes = _doubts(clip, dropped)
    timed = tuple((str(word), float(start_ms), float(end_ms)) for word, start_ms, end_ms in words)
    if np.count_nonzero(~np.isnan(track.f0_hz)) * HOP_MS < MIN_VOICED_MS:
        notes.insert(0, "no voice found (less than 100 ms of it): nothing about melody, tempo or emphasis can be said")
        return Prosody(clip, track.times_ms, np.full_like(track.f0_hz, np.nan), track.energy_db, notes=tuple(notes))
    spans, found = sounding_spans(track), syllables(track)
    return Prosody(
        clip,
        *track,
        spans=tuple(spans),
        pauses=tuple(pauses(spans)),
        syllables=tuple(found),
        words=timed,
        prominence=tuple(prominences(track, found, timed)),
        notes=tuple(notes),
    )


def _cleaned(track: PitchTrack) -> tuple[PitchTrack, int]:
    """Leave out specks of voice and octave jumps; return how many frames the latter were."""
    f0 = track.f0_hz.copy()
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (~np.isnan(f0)).astype(np.int8), [0]))))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < MIN_VOICED_RUN_FRAMES:
            f0[start:end] = np.nan
    if np.isnan(f0).all():
        return track._replace(f0_hz=f0), 0
    voiced = np.flatnonzero(~np.isnan(f0))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(f0, 2, constant_values=np.nan), 5)[voiced]
    jumps = np.abs(np.log2(f0 / np.nanmedian(f0))) > 1
    jumps[voiced] |= np.abs(np.log2(f0[voiced] / np.nanmedian(around, axis=1))) > JUMP_OCTAVES
    f0[jumps] = np.nan
    return track._replace(f0_hz=f0), int(jumps.sum())


def _doubts(clip: AudioClip, dropped: int) -> list[str]:
    notes = []
    loudest = np.abs(clip.samples.astype(np.int32))
    if float(np.mean(loudest >= 32_767)) > CLIPPED_SHARE:
        notes.append("the recording is clipped: its loud parts were louder than measured")
    if clip.rms_dbfs < VERY_QUIET_DBFS:
        notes.append(f"very quiet ({clip.rms_dbfs:.0f} dBFS): rounding of the samples disturbs every number")
    if dropped:
        notes.append(f"{dropped} {'frame' if dropped == 1 else 'frames'} with octave jumps left out")
    return notes


def shown(value: float | int | str | None) -> str:
    """Return a number as people read it; "not measured" for None."""
    if value is None:
        return "not measured"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    return str(value)


UNITS = {"ms": "ms", "hz": "Hz", "st": "semitones", "db": "dB", "per_s": "per second", "per_minute": "per minute"}


def label(name: str) -> str:
    """Return a column's name as a phrase: "f0_range_st" as "F0 range (semitones)"."""
    for ending, unit in (("st_per_s", "semitones per second"), *UNITS.items()):
        if name.endswith(f"_{ending}"):
            words = name.removesuffix(f"_{ending}").replace("_", " ").replace("f0", "F0")
            return f"{words} {unit}" if unit in ("per second", "per minute") else f"{words} ({unit})"
    return name.replace("_", " ")
