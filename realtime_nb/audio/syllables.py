"""Where the syllables and pauses of a recording are, without knowing its words.

The method is de Jong and Wempe's (2009, Behavior Research Methods 41:385-390): a syllable is a peak of the energy
contour that is voiced, at most 25 dB below the loudest speech, with a dip of at least 2 dB to its neighbours; silences
are what is quieter than that. It counts too few syllables in fast or mumbled speech, and is meant for comparing rates.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.pitch import HOP_MS, PitchTrack

SILENCE_BELOW_LOUDEST_DB = 25.0
LOUDEST_PERCENTILE = 99
DIP_DB = 2.0
MIN_PAUSE_MS = 250.0
"""Shorter silences are mostly the closures of plosives (Goldman-Eisler 1968)."""
MIN_SOUND_MS = 60.0
"""A shorter sound, alone, is a click."""

RATE_METHOD = (
    f"syllable nuclei: voiced energy peaks with dips of {DIP_DB:g} dB, at most {SILENCE_BELOW_LOUDEST_DB:g} dB below "
    "the loudest (de Jong & Wempe 2009)"
)
PAUSE_METHOD = (
    f"silence of at least {MIN_PAUSE_MS:g} ms, {SILENCE_BELOW_LOUDEST_DB:g} dB below the loudest, edges within 25 ms"
)

Floats = npt.NDArray[np.float64]


class Span(NamedTuple):
    """A stretch of the clip, in ms from its first sample."""

    start_ms: float
    end_ms: float

    @property
    def duration_ms(self) -> float:
        """How long it lasts."""
        return self.end_ms - self.start_ms


class Syllable(NamedTuple):
    """A syllable: its energy peak, and the dips or silences around it."""

    peak_ms: float
    start_ms: float
    end_ms: float


def loudness_threshold_db(track: PitchTrack) -> float:
    """Return the level below which a frame counts as silence."""
    return float(np.percentile(track.energy_db, LOUDEST_PERCENTILE)) - SILENCE_BELOW_LOUDEST_DB


def sounding_spans(track: PitchTrack) -> list[Span]:
    """Return the stretches of speech between pauses; [] when nothing is voiced."""
    if not len(track.times_ms) or np.isnan(track.f0_hz).all():
        return []
    loud = track.energy_db > loudness_threshold_db(track)
    voiced = ~np.isnan(track.f0_hz)
    spans: list[Span] = []
    for first, last in _runs(loud):
        span = Span(float(track.times_ms[first]) - HOP_MS / 2, float(track.times_ms[last]) + HOP_MS / 2)
        is_voiced = bool(voiced[first : last + 1].any())
        near = bool(spans) and span.start_ms - spans[-1].end_ms < MIN_PAUSE_MS
        if near and (is_voiced or span.duration_ms >= MIN_SOUND_MS):
            spans[-1] = Span(spans[-1].start_ms, span.end_ms)
        elif is_voiced:
            spans.append(span)
    return spans


def pauses(spans: list[Span]) -> list[Span]:
    """Return the silences between stretches of speech."""
    return [Span(before.end_ms, after.start_ms) for before, after in itertools.pairwise(spans)]


def syllables(track: PitchTrack) -> list[Syllable]:
    """Return the syllables found, in order."""
    if not len(track.times_ms) or np.isnan(track.f0_hz).all():
        return []
    threshold_db = loudness_threshold_db(track)
    smooth_db = np.convolve(np.pad(track.energy_db, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    found: list[Syllable] = []
    for peak, left, right in _peaks(smooth_db):
        voiced = not np.isnan(track.f0_hz[max(0, peak - 1) : peak + 2]).all()
        if smooth_db[peak] > threshold_db and voiced:
            first, last = _loud_around(smooth_db, peak, left, right, threshold_db)
            found.append(Syllable(*(float(track.times_ms[frame]) for frame in (peak, first, last))))
    return found


def _peaks(level_db: Floats) -> list[tuple[int, int, int]]:
    """Return (peak, dip before, dip after) in frames, for peaks with dips of `DIP_DB` on both sides."""
    found: list[tuple[int, int, int]] = []
    peak = dip = start = 0
    rising = True
    for frame, level in enumerate(level_db.tolist()):
        if rising:
            if level > level_db[peak]:
                peak = frame
            elif level < level_db[peak] - DIP_DB:
                found.append((peak, start, frame))
                rising, dip = False, frame
        elif level < level_db[dip]:
            dip = frame
        elif level > level_db[dip] + DIP_DB:
            found[-1] = (found[-1][0], found[-1][1], dip)
            rising, start, peak = True, dip, frame
    if rising and len(level_db) and level_db[peak] > level_db[start] + DIP_DB:
        found.append((peak, start, len(level_db) - 1))
    elif found and not rising:
        found[-1] = (*found[-1][:2], dip)
    return found


def _loud_around(level_db: Floats, peak: int, left: int, right: int, threshold_db: float) -> tuple[int, int]:
    while left < peak and level_db[left] <= threshold_db:
        left += 1
    while right > peak and level_db[right] <= threshold_db:
        right -= 1
    return left, right


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]
