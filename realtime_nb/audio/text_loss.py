"""What is left of how something was said once it has been a text: one reading against another of the same words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_nb.audio.alignment import MAX_ALIGNED_MS, METHODS, Alignment, align
from realtime_nb.audio.clip import AudioClip
from realtime_nb.audio.prominence import Prominence
from realtime_nb.audio.prosody import Prosody, TimedWord, label, prosody, shown

MIN_FRAMES = 30
BLOCK_FRAMES = 25
RESAMPLES = 2_000
LEVEL = 0.95
WORD_SLACK_MS, SYLLABLE_SLACK_MS = 30.0, 100.0
COMPARED = (
    "f0_median_hz",
    "f0_range_st",
    "f0_end_slope_st_per_s",
    "energy_range_db",
    "speech_ms",
    "syllables_per_s",
    "words_per_minute",
    "pauses",
    "pause_total_ms",
)
CORRELATION_METHOD = (
    "Pearson's r of F0 in semitones over frames that are voiced in both readings; interval: moving-block bootstrap, "
    f"blocks of {BLOCK_FRAMES * 10} ms, for neighbouring frames are not independent"
)

Floats = npt.NDArray[np.float64]


class Correlation(NamedTuple):
    """How alike two melodies are: 1 for the same shape, 0 for none in common.

    Attributes:
        r: None where it cannot be said.
        low: of the 95 % interval.
        high: likewise.
        n_frames: of 10 ms, voiced in both readings.
        note: why r is None.
    """

    r: float | None
    low: float | None
    high: float | None
    n_frames: int
    note: str = ""

    def __str__(self) -> str:
        if self.r is None or self.low is None or self.high is None:
            return f"not measured ({self.note})"
        return f"{self.r:.2f} (95 % interval {self.low:.2f} to {self.high:.2f}, {self.n_frames} frames)"


class Change(NamedTuple):
    """One line of the comparison; `change` is after - original, None where either is unknown."""

    quantity: str
    original: float | int | None
    after_text: float | int | None
    change: float | int | None


@dataclass(frozen=True, eq=False, repr=False)
class TextLoss:
    """Two readings compared. Make one with `what_text_loses`.

    Attributes:
        original: how it was said.
        after: how it was said again.
        alignment: which moment belongs to which.
        correlation: of the melodies.
        kept: what is emphasised in the original and in the second reading, too.
        lost: what is emphasised in the original only.
        added: what is emphasised in the second reading only.
        notes: what could not be compared, in words.
    """

    original: Prosody
    after: Prosody
    alignment: Alignment
    correlation: Correlation
    kept: tuple[Prominence, ...] = ()
    lost: tuple[Prominence, ...] = ()
    added: tuple[Prominence, ...] = ()
    notes: tuple[str, ...] = ()

    def table(self) -> list[Change]:
        """Return the numbers of both readings, line by line; names carry units."""
        before, after = self.original.table(), self.after.table()
        rows = []
        for name in COMPARED:
            one, other = _number(before[name]), _number(after[name])
            if one is not None or other is not None:
                rows.append(Change(name, one, other, None if one is None or other is None else other - one))
        return rows

    @property
    def methods(self) -> dict[str, str]:
        """How everything was measured."""
        aligned = {"alignment": METHODS[self.alignment.method], "correlation": CORRELATION_METHOD}
        return {**self.original.methods, **aligned}

    def __repr__(self) -> str:
        lines = [f"{label(row.quantity)}: {shown(row.original)} → {shown(row.after_text)}" for row in self.table()]
        return "\n".join(
            (
                f"What text loses of {self.original.clip.title or 'the clip'!r}",
                *lines,
                f"correlation of the melodies: {self.correlation}",
                f"emphasis {self._emphasis()}",
                *self.notes,
            )
        )

    def _emphasis(self) -> str:
        parts = {"kept": self.kept, "lost": self.lost, "added": self.added}
        said = [f"{what}: {', '.join(_name(each) for each in found)}" for what, found in parts.items() if found]
        return "; ".join(said) or "candidates: none in either reading"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("", "original", "after text", "change"))
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(label(row.quantity))}</th>'
            f"<td>{shown(row.original)}</td><td>{shown(row.after_text)}</td><td>{_signed(row.change)}</td></tr>"
            for row in self.table()
        )
        said = "".join(
            f"<div>{escape(text)}</div>"
            for text in (
                f"Correlation of the melodies: {self.correlation}",
                f"Emphasis {self._emphasis()}",
                *(f"⚠ {note}" for note in self.notes),
            )
        )
        methods = "<br>".join(f"<b>{escape(name)}</b>: {escape(text)}" for name, text in self.methods.items())
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{said}"
            f"<details><summary>how it was measured</summary><small>{methods}</small></details>"
        )


def what_text_loses(
    clip: AudioClip,
    spoken_again: AudioClip,
    *,
    words: Sequence[TimedWord] = (),
    words_again: Sequence[TimedWord] = (),
) -> TextLoss:
    """Compare how a clip was said with how its words were said again.

    Args:
        clip: the original.
        spoken_again: another reading of the same words, for example of the clip's transcript by a synthetic voice.
        words: (word, start_ms, end_ms) in the clip; with those of the second reading they align the two.
        words_again: likewise.

    Returns:
        The comparison. What cannot be compared is None and said so in `notes`.

    Raises:
        AudioError: a clip is shorter than 150 ms.
    """
    original, after = prosody(clip, words=words), prosody(spoken_again, words=words_again)
    aligned = align(_bounded(clip, original), _bounded(spoken_again, after), here_words=words, there_words=words_again)
    kept, lost, added = _emphasis(original, after, aligned)
    notes = [f"original: {note}" for note in original.notes] + [f"after text: {note}" for note in after.notes]
    if aligned.method == "dtw" and (original.speech_ms or 0.0) > MAX_ALIGNED_MS:
        notes.append(f"only the first {MAX_ALIGNED_MS / 1000:.0f} s are aligned and compared moment by moment")
    missing = len(words) - len(aligned.words)
    if words and missing:
        notes.append(f"{missing} of {len(words)} words were recognised in the original only")
    return TextLoss(original, after, aligned, _correlation(original, after, aligned), kept, lost, added, tuple(notes))


def semitones(measured: Prosody) -> Floats:
    """Return F0 in semitones above the reading's own median, NaN where unvoiced, (n_frames,)."""
    middle = measured.f0_median_hz
    return 12 * np.log2(measured.f0_hz / middle) if middle else np.full_like(measured.f0_hz, np.nan)


def melody_there(original: Prosody, after: Prosody, aligned: Alignment) -> Floats:
    """Return the second reading's melody at the original's frames, semitones; NaN where unvoiced or not aligned."""
    if not len(after.times_ms) or not len(aligned.here_ms):
        return np.full_like(original.f0_hz, np.nan)
    there_ms = aligned.there(original.times_ms)
    frame_ms = float(after.times_ms[1] - after.times_ms[0]) if len(after.times_ms) > 1 else 1.0
    nearest = np.clip(np.round((there_ms - after.times_ms[0]) / frame_ms), 0, len(after.times_ms) - 1).astype(int)
    return np.where(aligned.covers(original.times_ms), semitones(after)[nearest], np.nan)


def _bounded(clip: AudioClip, measured: Prosody) -> AudioClip:
    """Return the clip with speech bounds as measured, so that silence around it aligns with nothing."""
    if not measured.spans:
        return clip
    return dataclasses.replace(
        clip, speech_start_ms=max(0.0, measured.spans[0].start_ms), speech_end_ms=measured.spans[-1].end_ms
    )


def _correlation(original: Prosody, after: Prosody, aligned: Alignment) -> Correlation:
    here, there = semitones(original), melody_there(original, after, aligned)
    both = ~np.isnan(here) & ~np.isnan(there)
    n = int(both.sum())
    if n < MIN_FRAMES:
        note = f"{n} frames are voiced in both readings; at least {MIN_FRAMES} are needed"
        return Correlation(None, None, None, n, note)
    x, y = here[both], there[both]
    if min(float(x.std()), float(y.std())) < 1e-9:
        return Correlation(None, None, None, n, "a melody that does not move correlates with nothing")
    blocks = -(-n // BLOCK_FRAMES)
    starts = np.random.default_rng(0).integers(0, max(1, n - BLOCK_FRAMES + 1), (RESAMPLES, blocks))
    picks = (starts[:, :, None] + np.arange(min(BLOCK_FRAMES, n))).reshape(RESAMPLES, -1)[:, :n]
    low, high = np.nanpercentile(_pearson(x[picks], y[picks]), (50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)))
    return Correlation(float(_pearson(x, y)), float(low), float(high), n)


def _pearson(x: Floats, y: Floats) -> Floats:
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.asarray((x * y).sum(axis=-1) / np.maximum(scale, 1e-12))


def _emphasis(
    original: Prosody, after: Prosody, aligned: Alignment
) -> tuple[tuple[Prominence, ...], tuple[Prominence, ...], tuple[Prominence, ...]]:
    """Pair what is emphasised where the middle of the one, once aligned, falls on the other."""
    kept: list[Prominence] = []
    matched: list[Prominence] = []
    slack_ms = WORD_SLACK_MS if original.words and after.words else SYLLABLE_SLACK_MS
    comparable = [each for each in original.emphasis if aligned.covers((each.start_ms + each.end_ms) / 2)]
    for each in comparable:
        at_ms = float(aligned.there((each.start_ms + each.end_ms) / 2))
        again = [one for one in after.emphasis if one.start_ms - slack_ms <= at_ms <= one.end_ms + slack_ms]
        if again:
            kept.append(each)
            matched += again
    lost = tuple(each for each in comparable if each not in kept)
    added = tuple(each for each in after.emphasis if each not in matched)
    return tuple(kept), lost, added


def _name(found: Prominence) -> str:
    return f"“{found.label}”" if found.label else f"the syllable at {found.start_ms:.0f} ms"


def _number(value: float | int | str | None) -> float | int | None:
    return value if isinstance(value, int | float) else None


def _signed(value: float | int | None) -> str:
    if value is None:
        return ""
    size = shown(abs(value))
    return size if not size.strip("0.") else f"{'+' if value > 0 else '−'}{size}"
