"""Which words stand out: candidates for emphasis, from melody, loudness and length.

The rule, ours, in the spirit of Suni et al. (2017, Computer Speech & Language 45:123-136), who add the three signals:
for every word (or syllable) take its F0 peak in semitones above the utterance's declination line, its energy peak in dB
and the logarithm of its time per syllable; compare each with the median of the utterance in units of its spread (MAD),
but of no less than what listeners notice; the mean of the three is the word's prominence. Kochanski et al. (2005, JASA
118:1038-1054) found loudness and length to matter at least as much as F0, so none is weighted down. A candidate is not
a judgement: listeners decide what was emphasised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.pitch import PitchTrack
from realtime_nb.audio.syllables import Syllable

EMPHASIS_FROM = 1.0
"""Units of spread: a word this far above its utterance's median is a candidate."""
MIN_UNITS = 3
"""With fewer words there is nothing to stand out from."""
F0_NOTICEABLE_ST = 1.5
"""Listeners told 1.5 semitones apart as more or less prominent (Rietveld & Gussenhoven 1985, J. Phonetics 13)."""
ENERGY_NOTICEABLE_DB = 1.5
LENGTH_NOTICEABLE = 0.2
"""About 20 % of time; this one and the decibels are ours."""

EMPHASIS_RULE = (
    "mean of F0 peak above declination, energy peak and log time per syllable, each in units of the utterance's spread "
    f"(at least {F0_NOTICEABLE_ST:g} st, {ENERGY_NOTICEABLE_DB:g} dB, {LENGTH_NOTICEABLE:.0%}); "
    f"candidate from {EMPHASIS_FROM:g}"
)

Floats = npt.NDArray[np.float64]


class Prominence(NamedTuple):
    """How much a word or a syllable stands out.

    Attributes:
        label: the word; "" for a syllable, whose word nobody recognised.
        start_ms: in the clip.
        end_ms: in the clip.
        score: units of spread above the utterance's median.
        f0_peak_st: above the utterance's median; None where nothing is voiced.
        emphasised: a candidate for emphasis.
    """

    label: str
    start_ms: float
    end_ms: float
    score: float
    f0_peak_st: float | None
    emphasised: bool


def prominences(
    track: PitchTrack, found: Sequence[Syllable], words: Sequence[tuple[str, float, float]] = ()
) -> list[Prominence]:
    """Return the prominence of every word, or of every syllable where no words are known.

    Args:
        track: with a voiced frame.
        found: the syllables.
        words: (word, start_ms, end_ms).
    """
    units = [(str(word), float(start_ms), float(end_ms)) for word, start_ms, end_ms in words if end_ms > start_ms]
    if not units:
        units = [("", syllable.start_ms, syllable.end_ms) for syllable in found]
    if not units:
        return []
    semitones = 12 * np.log2(track.f0_hz / np.nanmedian(track.f0_hz))
    f0, energy, length = np.array([_features(track, semitones, found, unit) for unit in units]).T
    middles = np.array([(start_ms + end_ms) / 2 for _, start_ms, end_ms in units])
    scores = (
        _spread_units(_above_declination(f0, middles), F0_NOTICEABLE_ST)
        + _spread_units(energy, ENERGY_NOTICEABLE_DB)
        + _spread_units(length, LENGTH_NOTICEABLE)
    ) / 3
    return [
        Prominence(*unit, float(score), None if np.isnan(peak) else float(peak), _stands_out(float(score), len(units)))
        for unit, score, peak in zip(units, scores, f0, strict=True)
    ]


def _stands_out(score: float, n_units: int) -> bool:
    return n_units >= MIN_UNITS and score >= EMPHASIS_FROM


def _features(
    track: PitchTrack, semitones: Floats, found: Sequence[Syllable], unit: tuple[str, float, float]
) -> tuple[float, float, float]:
    _, start_ms, end_ms = unit
    inside = (track.times_ms >= start_ms) & (track.times_ms <= end_ms)
    voiced = semitones[inside & ~np.isnan(semitones)]
    # The 90th percentile, not the maximum: one wrong frame is no accent.
    peak_st = float(np.percentile(voiced, 90)) if len(voiced) else float("nan")
    energy_db = float(track.energy_db[inside].max()) if inside.any() else float("nan")
    n_syllables = max(1, sum(start_ms <= syllable.peak_ms <= end_ms for syllable in found))
    return peak_st, energy_db, float(np.log(max(end_ms - start_ms, 10.0) / n_syllables))


def _above_declination(peaks_st: Floats, middles_ms: Floats) -> Floats:
    """Return the peaks above their own falling line (Theil-Sen), which speech has without emphasis."""
    known = np.flatnonzero(~np.isnan(peaks_st))
    if len(known) < 4:
        return peaks_st
    first, second = np.triu_indices(len(known), 1)
    runs_ms = middles_ms[known[second]] - middles_ms[known[first]]
    slope = np.median((peaks_st[known[second]] - peaks_st[known[first]]) / np.maximum(runs_ms, 1.0))
    return peaks_st - min(float(slope), 0.0) * (middles_ms - middles_ms[known[0]])


def _spread_units(values: Floats, noticeable: float) -> Floats:
    """Return values in units of spread above the median; unknown ones as 0."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros_like(values)
    middle = np.median(known)
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), noticeable)
    return np.nan_to_num((values - middle) / spread, nan=0.0)
