from __future__ import annotations

import numpy as np
import pytest

from realtime_nb.audio import AudioClip, bundled, pitch
from realtime_nb.audio.pitch import PitchTrack, pitch_track
from realtime_nb.audio.prominence import prominences
from realtime_nb.audio.prosody import Prosody, label, prosody, shown
from realtime_nb.audio.syllables import Span, pauses, sounding_spans, syllables
from realtime_nb.errors import AudioError

RATE = 16_000
SYLLABLES = {
    "what_can_you_do": 4,
    "order_status": 12,
    "weather": 10,
    "breakfast": 12,
    "joke": 5,
    "human_agent": 10,
    "wait": 8,
    "long_request": 24,
    "stop": 1,
}


def sung(f0_hz: np.ndarray, loudness: np.ndarray | float = 1.0) -> np.ndarray:
    """Return a voice of seven harmonics that follows F0, one value a sample, where it is above 0."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 8))
    return np.where(f0_hz > 0, 5000 * loudness * wave, 0.0).astype(np.int16)


def beats(n: int, f0_hz: float = 120.0, *, each_ms: int = 180, gap_ms: int = 70) -> np.ndarray:
    """Return n syllables: bursts of voice with dips between."""
    burst = np.hanning(RATE * each_ms // 1000)
    one = np.concatenate((burst, np.zeros(RATE * gap_ms // 1000)))
    loudness = np.tile(one, n)
    return sung(np.full(len(loudness), f0_hz), loudness)


def clip_of(samples: np.ndarray, title: str = "") -> AudioClip:
    return AudioClip(samples, RATE, title=title)


# --- melody ---------------------------------------------------------------------------------------------------------


def test_a_known_melody_is_measured() -> None:
    f0_hz = np.linspace(200, 100, RATE)  # one octave down in one second
    measured = prosody(clip_of(sung(f0_hz)))
    assert measured.f0_median_hz == pytest.approx(150, rel=0.02)
    low, high = measured.f0_range_hz or (0, 0)
    assert (low, high) == pytest.approx((105, 195), rel=0.03)
    assert measured.f0_range_st == pytest.approx(12 * np.log2(195 / 105), abs=0.8)
    # From 150 to 100 Hz in the last half second: 7 semitones, a little less at its ends.
    assert measured.f0_end_slope_st_per_s == pytest.approx(-14, abs=1.5)


def test_a_question_rises_at_its_end() -> None:
    f0_hz = np.concatenate((np.full(RATE, 120.0), np.linspace(120, 180, RATE // 2)))
    slope = prosody(clip_of(sung(f0_hz))).f0_end_slope_st_per_s
    assert slope is not None
    assert slope > 10


def test_an_octave_jump_is_left_out_and_counted() -> None:
    f0_hz = np.concatenate((np.full(RATE, 110.0), np.full(RATE // 5, 330.0)))
    measured = prosody(clip_of(sung(f0_hz)))
    assert measured.f0_range_st == pytest.approx(0, abs=0.5)
    assert any("with octave jumps left out" in note for note in measured.notes)


def test_the_melody_agrees_with_praat() -> None:
    parselmouth = pytest.importorskip("parselmouth", reason="Praat is GPL: pip install praat-parselmouth")
    for name in ("go_forward", "order_status", "long_request"):
        clip = bundled.clip(name)
        measured = prosody(clip)
        sound = parselmouth.Sound(clip.samples / 32768, clip.sample_rate_hz)
        praat = sound.to_pitch_ac(time_step=0.01, pitch_floor=60, pitch_ceiling=400)
        other = np.array([praat.get_value_at_time(at_ms / 1000) for at_ms in measured.times_ms])
        both = ~np.isnan(other) & ~np.isnan(measured.f0_hz)
        assert both.sum() > 80
        assert np.median(np.abs(measured.f0_hz[both] / other[both] - 1)) < 0.001


# --- tempo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 8])
def test_syllables_are_counted(n: int) -> None:
    measured = prosody(clip_of(beats(n)))
    assert len(measured.syllables) == n
    peaks = [syllable.peak_ms for syllable in measured.syllables]
    assert peaks == pytest.approx([90 + 250 * k for k in range(n)], abs=15)
    assert measured.pauses == ()


def test_syllables_of_speech_are_found_within_a_third() -> None:
    """The method undercounts: all clips together, and never by more than half in one."""
    found = {name: len(prosody(bundled.clip(name)).syllables) for name in SYLLABLES}
    assert all(found[name] >= SYLLABLES[name] / 2 for name in SYLLABLES)
    assert sum(found.values()) == pytest.approx(sum(SYLLABLES.values()), rel=0.34)


def test_pauses_are_counted_and_timed() -> None:
    silence = np.zeros(RATE * 600 // 1000, np.int16)
    closure = np.zeros(RATE * 120 // 1000, np.int16)
    measured = prosody(clip_of(np.concatenate((silence, beats(3), silence, beats(2), closure, beats(2), silence))))
    assert len(measured.pauses) == 1
    # The burst and the frame fade in and out: the edges lie within 50 ms.
    assert measured.pause_total_ms == pytest.approx(670, abs=110)
    assert measured.speech_ms == pytest.approx(7 * 250 + 600 + 120 - 70, abs=110)


def test_words_give_a_rate_in_words() -> None:
    words = [("one", 0, 250), ("two", 250, 500), ("three", 500, 680)]
    measured = prosody(clip_of(beats(3)), words=words)
    assert measured.words_per_minute == pytest.approx(3 * 60_000 / (measured.speech_ms or 1))
    assert prosody(clip_of(beats(3))).words_per_minute is None


def test_a_click_is_no_speech() -> None:
    track = pitch_track(np.concatenate((np.zeros(RATE, np.int16), beats(2))), RATE)
    energy = track.energy_db.copy()
    energy[10] = energy.max()
    spans = sounding_spans(PitchTrack(track.times_ms, track.f0_hz, energy))
    assert len(spans) == 1
    assert pauses([Span(0, 100), Span(400, 500)]) == [Span(100, 400)]


# --- emphasis -------------------------------------------------------------------------------------------------------

WORDS = [(word, 250.0 * k, 250.0 * k + 180) for k, word in enumerate(("a", "b", "c", "d", "e", "f"))]


def spoken(*, f0: float = 1.0, loud: float = 1.0) -> AudioClip:
    """Return six syllables, the fourth of which is changed."""
    parts = [beats(1) for _ in WORDS]
    burst = np.hanning(RATE * 180 // 1000)
    strong = np.concatenate(
        (sung(np.full(len(burst), 120.0 * f0), burst * loud), np.zeros(RATE * 70 // 1000, np.int16))
    )
    parts[3] = strong.astype(np.int16)
    return clip_of(np.concatenate(parts))


def test_a_raised_and_louder_word_stands_out() -> None:
    measured = prosody(spoken(f0=1.4, loud=1.6), words=WORDS)
    assert [each.label for each in measured.emphasis] == ["d"]
    assert measured.prominence[3].f0_peak_st == pytest.approx(12 * np.log2(1.4), abs=0.5)
    assert "emphasis=d" in repr(measured)


def test_nothing_stands_out_of_a_monotone() -> None:
    assert prosody(spoken(), words=WORDS).emphasis == ()
    # Less than listeners notice is no emphasis, however even the rest is.
    assert prosody(spoken(f0=1.02, loud=1.05), words=WORDS).emphasis == ()


def test_nothing_stands_out_of_a_sentence_read_plainly() -> None:
    words = [("what", 230, 410), ("is", 410, 540), ("the", 540, 640), ("weather", 640, 1000), ("in", 1000, 1130)]
    measured = prosody(bundled.clip("weather"), words=[*words, ("paris", 1130, 1480), ("today", 1480, 1930)])
    assert measured.emphasis == ()
    assert len(measured.prominence) == 7


def test_without_words_syllables_stand_out() -> None:
    measured = prosody(spoken(f0=1.4, loud=1.6))
    assert [each.label for each in measured.emphasis] == [""]
    assert measured.emphasis[0].start_ms == pytest.approx(750, abs=60)


def test_two_words_are_too_few_for_one_to_stand_out() -> None:
    measured = prosody(spoken(f0=1.4, loud=1.6), words=[WORDS[2], WORDS[3]])
    assert measured.emphasis == ()


def test_a_falling_line_is_no_emphasis_of_its_beginning() -> None:
    n = RATE * 250 // 1000 * 6
    loudness = np.tile(np.concatenate((np.hanning(RATE * 180 // 1000), np.zeros(RATE * 70 // 1000))), 6)
    measured = prosody(clip_of(sung(np.geomspace(200, 100, n), loudness)), words=WORDS)
    assert measured.emphasis == ()


def test_a_word_outside_the_clip_has_no_prominence_to_speak_of() -> None:
    track = pitch_track(beats(3), RATE)
    found = prominences(track, syllables(track), [("in", 0, 180), ("out", 90_000, 90_100), ("empty", 5, 5)])
    assert [each.label for each in found] == ["in", "out"]
    assert found[1].f0_peak_st is None
    assert not found[1].emphasised


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE, np.int16),
        np.random.default_rng(1).normal(0, 3000, RATE).astype(np.int16),
        np.random.default_rng(2).integers(-3, 4, RATE).astype(np.int16),
    ],
    ids=["silence", "noise", "faint noise"],
)
def test_without_a_voice_nothing_is_invented(samples: np.ndarray) -> None:
    measured = prosody(clip_of(samples))
    numbers = measured.table()
    assert {name for name, value in numbers.items() if value is not None} == {"duration_ms"}
    assert "no voice found" in measured.notes[0]
    assert "not measured" in measured._repr_mimebundle_()["text/html"]
    assert measured.prominence == ()


def test_too_short_is_an_error_that_says_so() -> None:
    with pytest.raises(AudioError, match="lasts 100 ms"):
        prosody(AudioClip.silence(100))
    with pytest.raises(AudioError, match="lasts 0 ms"):
        prosody(AudioClip.silence(0))


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000, 96_000])
def test_any_rate_gives_the_same_numbers(rate: int) -> None:
    clip = bundled.clip("order_status")
    expected, measured = prosody(clip), prosody(clip.resampled(rate))
    assert measured.f0_median_hz == pytest.approx(expected.f0_median_hz, rel=0.01)
    assert measured.f0_range_st == pytest.approx(expected.f0_range_st, abs=0.4)
    assert measured.speech_ms == pytest.approx(expected.speech_ms, abs=60)


def test_all_speech_from_the_first_sample_to_the_last_is_speech() -> None:
    measured = prosody(clip_of(sung(np.full(RATE, 120.0))))
    assert measured.speech_ms == pytest.approx(1000, abs=80)
    assert measured.pauses == ()


def test_clipped_and_quiet_recordings_are_doubted() -> None:
    loud = np.clip(sung(np.full(RATE, 120.0)).astype(np.int32) * 20, -32768, 32767).astype(np.int16)
    assert any("clipped" in note for note in prosody(clip_of(loud)).notes)
    quiet = (sung(np.full(RATE, 120.0)) // 500).astype(np.int16)
    assert any("very quiet" in note for note in prosody(clip_of(quiet)).notes)


def test_long_clips_are_analysed_in_blocks_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = bundled.clip("order_status")
    whole = pitch_track(clip.samples, clip.sample_rate_hz)
    monkeypatch.setattr(pitch, "_BLOCK_FRAMES", 7)
    pieces = pitch_track(clip.samples, clip.sample_rate_hz)
    for one, other in zip(whole, pieces, strict=True):
        assert np.allclose(one, other, equal_nan=True)


# --- shown ----------------------------------------------------------------------------------------------------------


def test_it_shows_itself_with_units_and_methods() -> None:
    measured = prosody(bundled.clip("order_status"))
    html = measured._repr_mimebundle_()["text/html"]
    assert "F0 range (semitones)" in html
    assert "de Jong &amp; Wempe 2009" in html
    assert repr(measured).startswith("Prosody('Where is my order?', duration_ms=2,860")
    assert isinstance(measured, Prosody)


def test_names_and_numbers_are_readable() -> None:
    assert label("f0_end_slope_st_per_s") == "F0 end slope (semitones per second)"
    assert label("words_per_minute") == "words per minute"
    assert label("pauses") == "pauses"
    assert [shown(value) for value in (None, 1234.5, 0.04, 3)] == ["not measured", "1,234", "0.0", "3"]
