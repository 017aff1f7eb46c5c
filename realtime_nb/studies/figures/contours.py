"""Melody and loudness of a clip, and of the same words after they were a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from realtime_nb.audio.alignment import METHODS
from realtime_nb.audio.prosody import Prosody
from realtime_nb.audio.text_loss import TextLoss, melody_there, semitones
from realtime_nb.errors import ConfigurationError
from realtime_nb.studies.figures.look import Line, Look, Size, Theme, look
from realtime_nb.studies.figures.page import ProvenFigure, finish, new_page

BEFORE, BEFORE_ON_DARK = Line("#0072B2", "-", ""), Line("#56B4E9", "-", "")
AFTER = Line("#E69F00", "--", "")
LEAST_RANGE_ST = 4.0
QUIETEST_DB = -40.0

Floats = npt.NDArray[np.float64]


def contours(source: Any, *, provenance: str = "", theme: Theme = "light", size: Size = "notebook") -> ProvenFigure:
    """Draw F0 and energy over time: of one reading, or of two on the first one's time.

    Args:
        source: a `Prosody`, a `TextLoss`, or a `TextBottleneck`, which brings its provenance.
        provenance: who spoke and who measured; "" says that it was not recorded.
        theme: "light" or "dark".
        size: "notebook" or "projector".

    Raises:
        ConfigurationError: it is something else, or nothing in it is voiced.
    """
    loss = getattr(source, "loss", source)
    original = loss.original if isinstance(loss, TextLoss) else loss
    if not isinstance(original, Prosody) or not len(original.voiced):
        raise ConfigurationError(
            f"{type(source).__name__} has no melody to draw.",
            what_now="Give what prosody() or what_text_loses() measured of a clip with a voice in it.",
        )
    style = look(theme, size)
    figure, (melody, loudness) = new_page(style, 2)
    before = BEFORE_ON_DARK if theme == "dark" else BEFORE
    curves = [(before, semitones(original), _level(original))]
    if isinstance(loss, TextLoss):
        curves.append((AFTER, melody_there(original, loss.after, loss.alignment), _level_there(loss)))
    for line, st, db in curves:
        for axes, values in ((melody, st), (loudness, db)):
            axes.plot(original.times_ms, values, color=line.colour, linestyle=line.dashes, linewidth=style.line_pt)
    span = (original.spans[0].start_ms - 60, original.spans[-1].end_ms + 60)
    highest = max(LEAST_RANGE_ST, *(float(np.nanmax(np.abs(st), initial=0.0)) for _, st, _ in curves))
    melody.set_ylim(-highest * 1.1, highest * 1.1)
    loudest = max(float(np.nanmax(db, initial=3.0)) for _, _, db in curves)
    loudness.set_ylim(QUIETEST_DB, loudest + 2)
    for axes, name in ((melody, "melody,\nsemitones"), (loudness, "loudness,\ndB")):
        axes.set_xlim(*span)
        axes.set_ylabel(name)
        axes.axhline(0, color=style.grid, linewidth=1.0)
    melody.tick_params(labelbottom=False)
    loudness.set_xlabel("ms of the original")
    _words(melody, loudness, original, style)
    return _finished(figure, style, loss, original, provenance or getattr(source, "provenance", ""), before)


def _finished(
    figure: ProvenFigure, style: Look, loss: Any, original: Prosody, provenance: str, before: Line
) -> ProvenFigure:
    title = original.clip.title or "clip"
    handles = [_handle(before, "as it was said", style)]
    notes = ["0 is each reading's own median. Gaps: unvoiced. Bold words: candidates for emphasis in the original."]
    if isinstance(loss, TextLoss):
        handles.append(_handle(AFTER, "after it was a text", style))
        notes.append(f"Aligned {METHODS[loss.alignment.method]}.")
        headline = f"What text loses: {title}"
        subtitle = f"melodies correlate {loss.correlation}\n{_ranges(loss)}"
    else:
        headline, subtitle = f"Melody and loudness: {title}", f"F0 range {_st(original.f0_range_st)}"
    doubts = loss.notes if isinstance(loss, TextLoss) else original.notes
    notes += [f"Note: {'; '.join(doubts)}."] if doubts else []
    return finish(
        figure,
        style,
        title=headline,
        subtitle=subtitle,
        notes=notes,
        handles=handles,
        provenance=provenance or "measured · voice, engine, machine and date not recorded · n = 1 clip",
        plot_in=style.plot_in * 0.55,
        alt_text=f"{headline}: contours of F0 and energy. {subtitle}",
    )


def _ranges(loss: TextLoss) -> str:
    lost = len(loss.lost)
    total = lost + len(loss.kept)
    emphasis = f"emphasis lost on {lost} of {total} words" if total else "no word stands out in the original"
    return f"F0 range {_st(loss.original.f0_range_st)} → {_st(loss.after.f0_range_st)}; {emphasis}"


def _st(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} semitones"


def _level(measured: Prosody) -> Floats:
    """Return energy above the reading's own median while it sounds, dB."""
    inside = np.zeros(len(measured.times_ms), dtype=bool)
    for span in measured.spans:
        inside |= (measured.times_ms >= span.start_ms) & (measured.times_ms <= span.end_ms)
    return measured.energy_db - np.median(measured.energy_db[inside]) if inside.any() else measured.energy_db


def _level_there(loss: TextLoss) -> Floats:
    here_ms, aligned = loss.original.times_ms, loss.alignment
    if not len(aligned.here_ms) or not len(loss.after.times_ms):
        return np.full_like(here_ms, np.nan)
    there = np.interp(aligned.there(here_ms), loss.after.times_ms, _level(loss.after))
    return np.where(aligned.covers(here_ms), there, np.nan)


def _words(melody: Axes, loudness: Axes, original: Prosody, style: Look) -> None:
    """Write the words above the melody, each in the first row where it has room."""
    rows: list[float] = []
    for (word, start_ms, end_ms), prominence in zip(original.words, original.prominence, strict=False):
        for axes in (melody, loudness):
            axes.axvline(start_ms, color=style.grid, linewidth=0.8, zorder=0)
        text = _word(melody, word, (start_ms + end_ms) / 2, prominence.emphasised, style)
        box = text.get_window_extent()
        row = next((index for index, used_px in enumerate(rows) if used_px < box.x0), len(rows))
        rows[row : row + 1] = [box.x1 + 0.4 * style.small_pt]
        text.set_position((0, style.small_pt * (0.5 + 1.4 * row)))


def _word(axes: Axes, word: str, middle_ms: float, emphasised: bool, style: Look) -> Annotation:
    return axes.annotate(
        word,
        (middle_ms, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=style.small_pt,
        color=style.ink,
        weight="bold" if emphasised else "normal",
        annotation_clip=False,
        gid="word",
    )


def _handle(line: Line, name: str, style: Look) -> Line2D:
    return Line2D([], [], color=line.colour, linestyle=line.dashes, linewidth=style.line_pt, label=name)
