from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.server.sentences import MAX_CHARS, SentenceSplitter


def split(*deltas: str) -> list[str]:
    splitter = SentenceSplitter()
    pieces = [piece for delta in deltas for piece in splitter.push(delta)]
    rest = splitter.flush()
    return [*pieces, rest] if rest else pieces


SPLITS = [
    (["One. Two."], ["One.", " Two."]),
    (["Is it", "? Yes", "! ", "Good."], ["Is it?", " Yes!", " Good."]),
    (["Dr. Bell called Mr. A. Watson. He came."], ["Dr. Bell called Mr. A. Watson.", " He came."]),
    (["It costs 3.50 euros. Fine."], ["It costs 3.50 euros.", " Fine."]),
    (['He said "no." Then he left.'], ['He said "no."', " Then he left."]),
    (["First line\nsecond line"], ["First line\n", "second line"]),
    (["I have found your order for you, it left today."], ["I have found your order for you,", " it left today."]),
    (["Well, it left. You see, it is so."], ["Well, it left.", " You see, it is so."]),
    ([""], []),
]


@pytest.mark.parametrize(("deltas", "pieces"), SPLITS)
def test_sentences_end_where_a_speaker_breathes(deltas: list[str], pieces: list[str]) -> None:
    assert split(*deltas) == pieces


def test_the_first_sentence_is_out_before_the_second_begins() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("On its way.") == []
    assert splitter.push(" It") == ["On its way."]


def test_text_without_a_stop_is_cut_at_a_space() -> None:
    pieces = split("word " * 200)
    assert max(map(len, pieces)) <= MAX_CHARS
    assert all(piece.strip().endswith("word") for piece in pieces[:-1])


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab .,!?\n\"'A1", max_size=60), max_size=12))
def test_nothing_is_lost_or_added(deltas: list[str]) -> None:
    assert "".join(split(*deltas)) == "".join(deltas)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["Yes. ", "No! ", "a, b ", "Dr. X ", "3.5 ", "word "]), max_size=20), st.integers(1, 7))
def test_how_the_text_comes_changes_no_sentence(words: list[str], size: int) -> None:
    text = "".join(words)
    assert split(*(text[start : start + size] for start in range(0, len(text), size))) == split(text)
