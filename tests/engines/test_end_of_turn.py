from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime_nb.audio import bundled
from realtime_nb.engines.end_of_turn import (
    LONGEST_HOLD_MS,
    SHORTEST_HOLD_MS,
    EndOfTurn,
    hold_ms,
    judge,
    voice_done,
    words_done,
)

NOTHING = np.zeros(0, np.int16)


@pytest.mark.parametrize(
    "text",
    [
        "what can you do",
        "where is my order",
        "tell me a joke",
        "yes please",
        "thank you",
        "i like it",
        "where are they",
    ],
)
def test_finished_sentences_sound_finished(text: str) -> None:
    assert words_done(text) >= 0.7


@pytest.mark.parametrize(
    "text",
    ["i would like to", "my order number", "i had two eggs and", "the", "can you tell me when", "well um", "i want a"],
)
def test_open_sentences_sound_open(text: str) -> None:
    assert words_done(text) <= 0.2


def test_no_words_and_no_voice_are_undecided() -> None:
    assert judge("", NOTHING, 16_000).probability == pytest.approx(0.5)


def test_the_hold_follows_certainty_and_eagerness_within_the_documented_bounds() -> None:
    for eagerness in ("low", "medium", "auto", "high"):
        holds = [hold_ms(EndOfTurn(p, p, p), eagerness) for p in np.linspace(0, 1, 11)]
        assert holds == sorted(holds, reverse=True)
        assert (holds[0], holds[-1]) == (LONGEST_HOLD_MS[eagerness], SHORTEST_HOLD_MS[eagerness])
    done = EndOfTurn(0.9, 0.9, 0.9)
    ordered = [hold_ms(done, eagerness) for eagerness in ("high", "medium", "low")]
    assert all(sooner < later for sooner, later in itertools.pairwise(ordered))


@pytest.mark.parametrize("name", sorted(set(bundled.clips()) - {"stop"}))
def test_every_bundled_clip_ends_sooner_whole_than_broken_off(name: str) -> None:
    clip = bundled.clip(name)
    assert clip.speech_end_ms is not None
    audio = clip.trimmed(0, clip.speech_end_ms).resampled(16_000).samples
    whole = judge(clip.transcript, audio, 16_000)
    broken_off = judge(clip.transcript.rstrip("?!.") + " and", audio, 16_000)
    assert hold_ms(whole, "auto") < 900
    assert hold_ms(broken_off, "auto") > 1500


def falling(*, semitones: float) -> np.ndarray:
    rate = 16_000
    f0 = 150 * 2 ** (np.linspace(0, -semitones, rate) / 12)
    phase = 2 * np.pi * np.cumsum(f0) / rate
    fade = 10 ** (np.linspace(0, -semitones, rate) / 20)
    return (8000 * fade * (np.sin(phase) + 0.5 * np.sin(2 * phase))).astype(np.int16)


def test_a_falling_voice_sounds_more_final_than_a_rising_one() -> None:
    assert voice_done(falling(semitones=12), 16_000) > 0.6
    assert voice_done(falling(semitones=-12), 16_000) < 0.2
