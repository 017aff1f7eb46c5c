from __future__ import annotations

import numpy as np
import pytest

from realtime_nb.audio import AudioClip, alignment, bundled, text_loss
from realtime_nb.audio.alignment import align, same_words
from realtime_nb.audio.prosody import prosody
from realtime_nb.audio.resynthesis import emphasise
from realtime_nb.audio.text_loss import what_text_loses
from realtime_nb.errors import AudioError, ConfigurationError

WEATHER_WORDS = [
    ("what", 230.0, 410.0),
    ("is", 410.0, 540.0),
    ("the", 540.0, 640.0),
    ("weather", 640.0, 1000.0),
    ("in", 1000.0, 1130.0),
    ("paris", 1130.0, 1480.0),
    ("today", 1480.0, 1930.0),
]


def moved(words: list[tuple[str, float, float]], longer_ms: float, after_ms: float) -> list[tuple[str, float, float]]:
    """Return word times once a stretch that ends at `after_ms` got longer."""
    return [
        (word, start + longer_ms * (start >= after_ms), end + longer_ms * (end >= after_ms))
        for word, start, end in words
    ]


def emphasised(index: int) -> tuple[AudioClip, list[tuple[str, float, float]]]:
    clip = bundled.clip("weather")
    word, start_ms, end_ms = WEATHER_WORDS[index]
    changed = emphasise(clip, start_ms, end_ms, word=word)
    return changed, moved(WEATHER_WORDS, changed.duration_ms - clip.duration_ms, end_ms)


# --- alignment ------------------------------------------------------------------------------------------------------


def test_words_align_what_they_share() -> None:
    here = [("Go", 0, 100), ("forward,", 100, 400), ("ten", 500, 700)]
    there = [("go", 50, 200), ("forward", 200, 800), ("then", 800, 900), ("Ten", 1000, 1400)]
    assert same_words(here, there) == ((0, 0), (1, 1), (2, 3))
    silence = AudioClip.silence(2000)
    aligned = align(silence, silence, here_words=here, there_words=there)
    assert aligned.method == "words"
    assert aligned.there([0, 50, 100, 250, 700]).tolist() == [50, 125, 200, 500, 1400]


def test_a_misheard_first_and_last_word_keep_their_place() -> None:
    here = AudioClip(np.zeros(48_000, np.int16), speech_start_ms=100, speech_end_ms=1900)
    there = AudioClip(np.zeros(48_000, np.int16), speech_start_ms=300, speech_end_ms=1500)
    heard = [("um", 100, 500), ("go", 500, 900), ("forward", 900, 1300), ("ten", 1300, 1600), ("feet", 1600, 1900)]
    again = [("go", 500, 700), ("forward", 700, 1000), ("ten", 1000, 1200), ("meet", 1200, 1500)]
    aligned = align(here, there, here_words=heard, there_words=again)
    assert aligned.there([100, 300, 1750, 1900]).tolist() == [300, 400, 1350, 1500]
    assert aligned.covers([50, 100, 1900, 1950]).tolist() == [False, True, True, False]


def test_a_long_reading_without_words_is_aligned_in_part_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (alignment, text_loss):
        monkeypatch.setattr(module, "MAX_ALIGNED_MS", 3_000.0)
    clip = bundled.clip("long_request")
    loss = what_text_loses(clip, clip)
    assert any("only the first 3 s are aligned" in note for note in loss.notes)
    assert loss.alignment.here_ms[-1] < 3_500
    assert loss.correlation.r == pytest.approx(1, abs=0.01)
    assert all(each.end_ms < 4_000 for each in (*loss.lost, *loss.kept))


def test_warping_finds_a_known_delay() -> None:
    clip = bundled.clip("order_status")
    later = AudioClip.silence(400) + clip
    aligned = align(
        AudioClip(clip.samples, speech_start_ms=250, speech_end_ms=2560),
        AudioClip(later.samples, speech_start_ms=650, speech_end_ms=2960),
    )
    assert aligned.method == "dtw"
    middle_ms = np.arange(400, 2400, 100)
    assert aligned.there(middle_ms) == pytest.approx(middle_ms + 400, abs=20)


def test_warping_finds_a_stretched_word() -> None:
    clip = bundled.clip("weather")
    longer = emphasise(clip, 640, 1000, semitones=3, stretch=2)
    aligned = align(clip, AudioClip(longer.samples, speech_start_ms=250, speech_end_ms=longer.speech_end_ms))
    assert aligned.there([450.0, 600.0]) == pytest.approx([450, 600], abs=40)
    assert aligned.there([820.0, 980.0]) == pytest.approx([640 + 2 * 180, 640 + 2 * 340], abs=60)
    assert aligned.there([1300.0, 1700.0]) == pytest.approx([1660, 2060], abs=60)


def test_few_words_in_common_are_not_trusted() -> None:
    clip = bundled.clip("joke")
    aligned = align(clip, clip, here_words=[("tell", 0, 200), ("me", 200, 400)], there_words=[("smell", 0, 200)])
    assert aligned.method == "dtw"


# --- resynthesis ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("semitones", [-4.0, 3.0, 6.0])
def test_the_pitch_of_a_word_moves_as_asked_and_the_rest_stays(semitones: float) -> None:
    clip = bundled.clip("weather")
    changed = emphasise(clip, 1130, 1480, semitones=semitones, gain_db=0, stretch=1.0)
    assert changed.duration_ms == clip.duration_ms
    before, after = prosody(clip), prosody(changed)
    inside = (before.times_ms > 1230) & (before.times_ms < 1380)
    ratio = np.nanmedian(after.f0_hz[inside]) / np.nanmedian(before.f0_hz[inside])
    assert 12 * np.log2(ratio) == pytest.approx(semitones, abs=0.8)
    assert np.array_equal(changed.samples[: 24 * 1100], clip.samples[: 24 * 1100])
    assert np.array_equal(changed.samples[24 * 1500 :], clip.samples[24 * 1500 :])


def test_length_loudness_marks_and_words_follow() -> None:
    clip = bundled.clip("weather")
    changed = emphasise(clip, 1130, 1480, semitones=0, gain_db=6, stretch=1.5, word="Paris")
    assert changed.duration_ms - clip.duration_ms == pytest.approx(175, abs=1)
    assert changed.speech_end_ms == pytest.approx((clip.speech_end_ms or 0) + 175, abs=1)
    assert changed.speech_start_ms == clip.speech_start_ms
    louder = changed.trimmed(1250, 1500).rms_dbfs - clip.trimmed(1230, 1380).rms_dbfs
    assert louder == pytest.approx(6, abs=2)
    assert "emphasis on “Paris” added" in changed.title
    assert "resynthesis" in changed.origin
    assert changed.transcript == clip.transcript


def test_peaks_do_not_wrap_around() -> None:
    loud = AudioClip(np.clip(bundled.clip("weather").samples.astype(np.int32) * 4, -32000, 32000).astype(np.int16))
    changed = emphasise(loud, 640, 1000, gain_db=12)
    assert np.abs(changed.samples.astype(int)).max() <= 32_000


def test_a_stretch_of_nothing_or_too_much_is_refused() -> None:
    clip = bundled.clip("stop")
    with pytest.raises(ConfigurationError, match="too short"):
        emphasise(clip, 5_000, 6_000)
    with pytest.raises(ConfigurationError, match="20 semitones"):
        emphasise(clip, 300, 600, semitones=20)
    assert len(emphasise(AudioClip.silence(1000), 200, 600).samples) == 24_000 + round(9600 * 0.3)


# --- the comparison -------------------------------------------------------------------------------------------------


def test_a_reading_compared_with_itself_loses_nothing() -> None:
    clip = bundled.clip("order_status")
    loss = what_text_loses(clip, clip)
    assert loss.correlation.r == pytest.approx(1.0, abs=0.001)
    assert [row.change for row in loss.table()] == pytest.approx([0.0] * len(loss.table()))
    assert loss.lost == loss.added == ()


@pytest.mark.parametrize(("index", "word"), [(5, "paris"), (6, "today")])
def test_emphasis_that_the_second_reading_lacks_is_lost(index: int, word: str) -> None:
    changed, words = emphasised(index)
    loss = what_text_loses(changed, bundled.clip("weather"), words=words, words_again=WEATHER_WORDS)
    assert [each.label for each in loss.lost] == [word]
    assert loss.kept == loss.added == ()
    assert loss.alignment.method == "words"
    ranges = {row.quantity: row.change for row in loss.table()}
    assert (ranges["f0_range_st"] or 0) < -1.5
    assert f"emphasis lost: “{word}”" in repr(loss)


def test_emphasis_that_both_readings_have_is_kept_and_one_that_came_is_added() -> None:
    changed, words = emphasised(5)
    assert [each.label for each in what_text_loses(changed, changed, words=words, words_again=words).kept] == ["paris"]
    again = what_text_loses(bundled.clip("weather"), changed, words=WEATHER_WORDS, words_again=words)
    assert [each.label for each in again.added] == ["paris"]


def test_without_words_emphasis_is_compared_by_syllables() -> None:
    changed, _ = emphasised(5)
    loss = what_text_loses(changed, bundled.clip("weather"))
    assert loss.alignment.method == "dtw"
    assert [each.label for each in loss.lost] == [""]
    assert "the syllable at" in repr(loss)


def test_correlation_has_an_interval_that_holds_it() -> None:
    loss = what_text_loses(bundled.clip("go_forward"), bundled.clip("weather"))
    r, low, high, n_frames, _ = loss.correlation
    assert r is not None
    assert low is not None
    assert high is not None
    assert low <= r <= high
    assert n_frames >= 30


def test_nothing_is_said_about_what_has_no_voice() -> None:
    speech, silence = bundled.clip("joke"), AudioClip.silence(1500)
    for one, other in ((speech, silence), (silence, speech), (silence, silence)):
        loss = what_text_loses(one, other)
        assert loss.correlation.r is None
        assert "not measured (0 frames" in str(loss.correlation)
        assert all(row.change is None for row in loss.table())
        assert any("no voice found" in note for note in loss.notes)
        assert loss._repr_mimebundle_()["text/html"]
    with pytest.raises(AudioError):
        what_text_loses(speech, AudioClip.silence(20))


def test_words_that_the_recogniser_heard_once_only_are_counted() -> None:
    clip = bundled.clip("weather")
    again = [("that", 230.0, 410.0), *WEATHER_WORDS[1:]]
    loss = what_text_loses(clip, clip, words=WEATHER_WORDS, words_again=again)
    assert "1 of 7 words were recognised in the original only" in loss.notes
