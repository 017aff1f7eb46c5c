import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.engines.speech_text import MAX_SENTENCE_CHARACTERS, sentences, speakable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("Dr. Smith lives on St. James Square. He is in.", ["Dr. Smith lives on St. James Square.", "He is in."]),
        ("J. R. Tolkien wrote, e.g. a book.", ["J. R. Tolkien wrote, e.g. a book."]),
        ("It costs 3.50 dollars. Yes.", ["It costs 3.50 dollars.", "Yes."]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("", []),
        ("... !? \n –", []),
    ],
)
def test_sentences(text: str, expected: list[str]):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Bold** and `code` 🙂", "Bold and code"),
        ("it’s “fine” – really…", 'it\'s "fine", really...'),
        ("20°C & 5 %", "20 degrees Celsius and 5 percent"),
        ("see [the docs](https://example.org/a) or https://www.example.org/b?c=1", "see the docs or example.org"),
        ("tab\there\x00", "tab here"),
        ("€5 and £ 3.50, or €1,000.", "5 euros and 3.50 pounds, or 1,000 euros."),
        ("soft\u00adware, zero\u200bwidth", "software, zerowidth"),
    ],
)
def test_markup_and_symbols_become_speech(text: str, expected: str):
    assert speakable(text) == expected


@given(st.text(max_size=900))
def test_sentences_are_short_speakable_and_keep_every_word(text: str):
    parts = sentences(text)
    assert all(0 < len(part) <= MAX_SENTENCE_CHARACTERS for part in parts)
    assert all(any(char.isalnum() or char == "_" for char in part) for part in parts)

    def letters(value: str) -> str:
        return "".join(char for char in value if char.isalnum())

    assert letters("".join(parts)) == letters(speakable(text))


def test_a_long_sentence_is_cut_at_a_clause():
    text = "first part " * 15 + ", second part" * 12
    first = sentences(text)[0]
    assert first.endswith(",")
