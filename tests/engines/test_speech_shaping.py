import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.engines.speech_shaping import LAST_PAUSE_MS, LEAD_IN_MS, SENTENCE_PAUSE_MS, SpeechShaper, limited

RATE_HZ = 16_000


def burst(milliseconds: int, amplitude: float = 8_000) -> np.ndarray:
    return np.rint(amplitude * np.sin(np.arange(RATE_HZ * milliseconds // 1000) * 0.4 + 1)).astype(np.int16)


def quiet(milliseconds: int) -> np.ndarray:
    return np.zeros(RATE_HZ * milliseconds // 1000, dtype=np.int16)


def shaped(shaper: SpeechShaper, *sentences: list[np.ndarray], words=()) -> tuple[np.ndarray, list, list[int]]:
    chunks = []
    for number, pieces in enumerate(sentences, start=1):
        for index, piece in enumerate(pieces):
            chunks += shaper.push(piece, list(words) if index == 0 else [])
        chunks += shaper.end_sentence(last=number == len(sentences))
    arrays = [np.frombuffer(chunk["pcm16"], np.int16) for chunk in chunks]
    return np.concatenate(arrays), [word for chunk in chunks for word in chunk["words"]], [len(a) for a in arrays]


def test_silence_at_both_ends_is_cut_to_lead_in_and_pause():
    audio, _, _ = shaped(SpeechShaper(RATE_HZ), [quiet(300), burst(200), quiet(500)])
    assert len(audio) / 24 == pytest.approx(LEAD_IN_MS + 200 + LAST_PAUSE_MS, abs=3)


def test_silence_inside_a_sentence_stays():
    audio, _, _ = shaped(SpeechShaper(RATE_HZ), [burst(100), quiet(150), burst(100)])
    assert len(audio) / 24 == pytest.approx(350 + LAST_PAUSE_MS, abs=3)


def test_word_times_follow_the_cuts_and_the_tempo_of_a_longer_tract():
    words = [("one", 0.3, 0.4), ("two", 0.4, 0.5)]
    sentence = [quiet(300), burst(200), quiet(100)]
    _, timed, _ = shaped(SpeechShaper(RATE_HZ), sentence, sentence, words=words)
    second = LEAD_IN_MS + 200 + SENTENCE_PAUSE_MS
    starts = [LEAD_IN_MS, LEAD_IN_MS + 100, second + LEAD_IN_MS, second + LEAD_IN_MS + 100]
    assert [word for word, _, _ in timed] == ["one", "two", "one", "two"]
    assert [start for _, start, _ in timed] == pytest.approx(starts, abs=2)
    _, slower, _ = shaped(SpeechShaper(RATE_HZ, tract=0.5), sentence, words=words)
    assert [end - start for _, start, end in slower] == pytest.approx([200, 200], abs=2)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4_000), max_size=10))
def test_how_the_library_cuts_its_pieces_changes_nothing(cuts: list[int]):
    sentence = np.concatenate([quiet(120), burst(180), quiet(90), burst(60), quiet(200)])
    pieces = np.split(sentence, np.minimum(np.cumsum(cuts), len(sentence)).astype(int))
    whole, _, _ = shaped(SpeechShaper(RATE_HZ, gain_db=3), [sentence])
    parts, _, lengths = shaped(SpeechShaper(RATE_HZ, gain_db=3), pieces)
    assert np.array_equal(whole, parts)
    assert lengths[0] == 960
    assert set(lengths[1:-1]) <= {2_400}


def test_a_silent_sentence_adds_nothing():
    audio, _, _ = shaped(SpeechShaper(RATE_HZ), [quiet(500)], [burst(100)])
    assert len(audio) / 24 == pytest.approx(100 + LAST_PAUSE_MS, abs=3)


def test_the_limiter_bends_only_what_is_loud_and_never_clips():
    signal = np.linspace(-5, 5, 2_001)
    bent = limited(signal)
    soft = np.abs(signal) <= 0.7
    assert np.array_equal(bent[soft], signal[soft])
    assert np.abs(bent).max() <= 0.95
    assert (np.diff(bent) >= 0).all()
