from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_nb.engines import language_model
from realtime_nb.engines.pronunciation import guess_pronunciation
from realtime_nb.engines.spoken_text import spoken_words

PHONES = {
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW", "B", "CH", "D", "DH"),
    *("F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
}


def dictionary() -> Path:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    return Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))


def read_arpa(arpa: str) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
    """Return probabilities and back-off weights."""
    probabilities, backoffs, order = {}, {}, 0
    for line in arpa.splitlines():
        if line.endswith("-grams:"):
            order = int(line[1])
        elif order and line and not line.startswith("\\"):
            fields = line.split()
            words = tuple(fields[1 : 1 + order])
            probabilities[words] = 10 ** float(fields[0])
            if len(fields) > 1 + order:
                backoffs[words] = 10 ** float(fields[-1])
    return probabilities, backoffs


def test_the_arpa_model_is_one_probability_distribution_for_every_history() -> None:
    model = language_model.build(["Ask for the zorbulon valve."], dictionary())
    probabilities, backoffs = read_arpa(model.arpa)
    vocabulary = [words[0] for words in probabilities if len(words) == 1 and words != ("<s>",)]

    def likelihood(words: tuple[str, ...]) -> float:
        if words in probabilities:
            return probabilities[words]
        return backoffs.get(words[:-1], 1.0) * likelihood(words[1:])

    for history in [(), ("<s>",), ("what",), ("<s>", "what"), ("what", "is"), ("zorbulon",), ("order", "number")]:
        total = math.fsum(likelihood((*history, word)) for word in vocabulary)
        assert total == pytest.approx(1.0, abs=0.02), history


def test_counts_in_the_header_are_those_of_the_body() -> None:
    arpa = language_model.build([], dictionary()).arpa
    probabilities, _ = read_arpa(arpa)
    for order in (1, 2, 3):
        assert f"ngram {order}={sum(len(words) == order for words in probabilities)}\n" in arpa


def test_every_word_of_the_bundled_domains_is_in_the_dictionary() -> None:
    model = language_model.build([], dictionary())
    assert model.guessed == ()
    assert language_model.build(["Ask for the zorbulon valve."], dictionary()).guessed == ("zorbulon",)
    spoken = {line.split()[0].split("(")[0] for line in model.dictionary.splitlines()}
    assert {word for words in language_model.domain_sentences() for word in words} == spoken


def test_all_slots_are_filled() -> None:
    sentences = language_model.domain_sentences()
    assert ("what", "is", "the", "weather", "in", "london") in sentences
    assert not any("{" in word for words in sentences for word in words)
    assert len(sentences) > 500


def test_a_session_text_is_cut_at_sentences_and_bounded() -> None:
    assert language_model.session_sentences(["You are kind. Call get_weather!"]) == [
        ("you", "are", "kind"),
        ("call", "get", "weather"),
    ]
    many = language_model.session_sentences(["word " * 5_000, "more"])
    assert sum(len(words) for words in many) == language_model.MAX_SESSION_WORDS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the weather?", "what's the weather"),
        ("order 4217", "order four two one seven"),
        ("42 eggs, 105 g", "forty two eggs one hundred five g"),
        ("007", "zero zero seven"),
        ("lookUpOrder look_up_order", "look up order look up order"),
        ("500", "five hundred"),
        ("… !", ""),
    ],
)
def test_written_text_becomes_spoken_words(text: str, words: str) -> None:
    assert " ".join(spoken_words(text)) == words


@given(st.text(max_size=200))
def test_spoken_words_are_plain_and_stable(text: str) -> None:
    words = spoken_words(text)
    assert all(word.replace("'", "").isascii() and word.replace("'", "").isalpha() for word in words)
    assert spoken_words(" ".join(words)) == words


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"[a-z]+('[a-z]+)?", fullmatch=True))
def test_every_word_gets_known_phones(word: str) -> None:
    phones = guess_pronunciation(word).split()
    assert phones
    assert set(phones) <= PHONES


@pytest.mark.parametrize(
    ("word", "phones"),
    [("nation", "N AE SH AH N"), ("make", "M EY K"), ("kubectl", "K AH B EH K T L"), ("xml", "EH K S EH M EH L")],
)
def test_guesses_follow_the_spelling(word: str, phones: str) -> None:
    assert guess_pronunciation(word) == phones
