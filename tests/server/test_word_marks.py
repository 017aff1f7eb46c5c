from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.server.word_marks import WordFinder


def said(text: str, *words: str) -> list[str]:
    finder = WordFinder(text)
    return [text[: finder.end_of(word)] for word in words]


def test_words_are_found_with_their_punctuation() -> None:
    assert said(" Hello, my friend!", "hello", "my", "friend") == [" Hello,", " Hello, my", " Hello, my friend!"]


def test_a_word_that_is_spoken_otherwise_stands_for_the_next_one_written() -> None:
    text = "It costs 25 € today."
    assert said(text, "it", "costs", "twenty")[-1] == "It costs 25"
    assert said(text, "it", "costs", "twenty", "euros", "today")[-1] == text


def test_the_same_word_twice_is_two_places() -> None:
    assert said("no no no", "no", "no", "no") == ["no", "no no", "no no no"]


@settings(deadline=None)
@given(st.text(max_size=80), st.lists(st.text(max_size=10), max_size=30))
def test_it_never_goes_back_nor_beyond_the_text(text: str, words: list[str]) -> None:
    finder, at = WordFinder(text), 0
    for word in words:
        end = finder.end_of(word)
        assert at <= end <= len(text)
        at = end
