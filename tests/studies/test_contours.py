"""Melody figures: the curves are the contours, words never lie on each other, provenance is inside."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_nb.audio import AudioClip, bundled
from realtime_nb.audio.prosody import prosody
from realtime_nb.audio.text_loss import melody_there, semitones, what_text_loses
from realtime_nb.errors import ConfigurationError
from realtime_nb.studies import figures
from tests.audio.test_text_loss import WEATHER_WORDS, emphasised
from tests.studies.test_figures import NOTEBOOK, PROJECTOR, assert_clean


def test_the_curves_are_both_melodies_on_the_originals_time() -> None:
    changed, words = emphasised(5)
    loss = what_text_loses(changed, bundled.clip("weather"), words=words, words_again=WEATHER_WORDS)
    figure = figures.contours(loss, provenance="measured · flite")
    melody, loudness = figure.axes
    curves = [line for line in melody.lines if len(line.get_xdata()) == len(loss.original.times_ms)]
    before, after = (np.asarray(line.get_ydata()) for line in curves)
    assert np.array_equal(before, semitones(loss.original), equal_nan=True)
    assert np.array_equal(after, melody_there(loss.original, loss.after, loss.alignment), equal_nan=True)
    assert curves[0].get_linestyle() != curves[1].get_linestyle()
    assert figure.provenance == "measured · flite"
    weights = {text.get_text(): text.get_weight() for text in melody.texts if text.get_gid() == "word"}
    assert [word for word, weight in weights.items() if weight == "bold"] == ["paris"]
    assert "emphasis lost on 1 of 1 words" in figures.describe(figure)
    assert "melodies correlate" in figures.describe(figure)
    assert len(loudness.lines) >= 2


@pytest.mark.parametrize("page", [NOTEBOOK, PROJECTOR])
@pytest.mark.parametrize("crowded", [False, True])
def test_words_find_room(page: tuple[str, str], crowded: bool) -> None:
    clip = bundled.clip("weather")
    words = [(f"{word} long", 230 + 85.0 * k, 310 + 85.0 * k) for k, (word, _, _) in enumerate(WEATHER_WORDS * 3)]
    measured = prosody(clip, words=words if crowded else WEATHER_WORDS)
    assert_clean(figures.contours(measured, theme=page[0], size=page[1]))  # type: ignore[arg-type]


def test_a_reading_alone_can_be_drawn_and_says_what_it_does_not_know() -> None:
    figure = figures.contours(prosody(bundled.clip("book_reading")))
    assert "not recorded" in figure.provenance
    assert "Melody and loudness" in figures.describe(figure)


def test_without_a_voice_there_is_nothing_to_draw() -> None:
    silence = prosody(AudioClip.silence(1000))
    with pytest.raises(ConfigurationError, match="no melody"):
        figures.contours(silence)
    with pytest.raises(ConfigurationError, match="str has no melody"):
        figures.contours("clip")
    loss = what_text_loses(bundled.clip("joke"), AudioClip.silence(1000))
    assert_clean(figures.contours(loss))
