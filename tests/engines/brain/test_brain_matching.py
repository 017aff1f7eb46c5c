from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from realtime_nb.engines.brain.dialogue import ACCEPT
from realtime_nb.engines.brain.intents import Reader, load_intents
from realtime_nb.engines.brain.mishearing import Mishearing, word_errors
from realtime_nb.engines.brain.phonetics import SUBSTITUTION_COSTS, Lexicon, dictionary_path, letters_to_sounds

HELD_OUT = tomllib.loads((Path(__file__).parent / "held_out.toml").read_text(encoding="utf-8"))
RIGHT = [(key, text) for key, texts in HELD_OUT["right"].items() for text in texts]
DOMAINS = Path(__file__).parents[3] / "realtime_nb" / "engines" / "domains"


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon(dictionary_path())


@pytest.fixture(scope="module")
def reader(lexicon) -> Reader:
    return Reader(load_intents(), lexicon)


def test_held_out_sentences_are_held_out():
    examples = {example for intent in load_intents().values() for example in intent.examples}
    assert not [text for _, text in RIGHT if text in examples]


def test_every_example_finds_its_intent(reader):
    wrong = []
    for key, intent in load_intents().items():
        wrong += [
            (key, example) for example in intent.examples if "{" not in example and reader.read(example).intent != key
        ]
    assert len(wrong) <= 8, wrong


def test_no_example_belongs_to_two_intents():
    examples = [example for intent in load_intents().values() for example in intent.examples]
    assert len(examples) == len(set(examples))


def test_clean_held_out_sentences_are_understood(reader):
    hits = sum(reader.read(text).intent == key and reader.read(text).similarity >= ACCEPT for key, text in RIGHT)
    assert hits / len(RIGHT) >= 0.9


@pytest.mark.parametrize(("rate", "least", "errors_a_word"), [(0.2, 0.78, 0.15), (0.4, 0.64, 0.35), (0.6, 0.5, 0.55)])
def test_misheard_sentences_are_mostly_understood(reader, lexicon, rate, least, errors_a_word):
    vocabulary = {word for intent in load_intents().values() for example in intent.examples for word in example.split()}
    words = sorted({word for word in vocabulary if word[0] != "{"} | set(lexicon.some_words(4000)))
    mishearing = Mishearing(lexicon, words, seed=7)
    heard = [(key, text, mishearing.corrupt(text, rate)) for key, text in RIGHT * 2]
    errors = sum(word_errors(text.split(), noisy.split()) for _, text, noisy in heard)
    assert errors / sum(len(text.split()) for _, text, _ in heard) >= errors_a_word
    assert sum(reader.read(noisy).intent == key for key, _, noisy in heard) / len(heard) >= least


def test_unrelated_sentences_are_mostly_left_alone(reader):
    taken = [text for text in HELD_OUT["unrelated"] if reader.read(text).similarity >= ACCEPT]
    assert len(taken) <= 4, taken


def test_sentences_of_the_recogniser_domains_are_understood(reader):
    slots = tomllib.loads((DOMAINS / "slots.toml").read_text(encoding="utf-8"))
    lines = [
        re.sub(r"\{(\w+)\}", lambda match: slots[match.group(1)][0], line.strip())
        for file in sorted(DOMAINS.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    unclear = [line for line in lines if reader.read(line).similarity < ACCEPT]
    assert len(lines) > 300
    assert len(unclear) / len(lines) <= 0.12, unclear


def test_slot_words_do_not_disturb(reader):
    plain = reader.read("where is my order")
    assert reader.read("where is my order nine nine two seven one").intent == plain.intent == "order_status"
    assert reader.read("what is the weather in san francisco on wednesday").intent == "weather"


def test_equal_sounds_are_equal(reader):
    assert reader.read("wear is my order").intent == "order_status"
    assert reader.read("wear is my order").similarity > 0.95


def test_costs_are_symmetric_and_grow_with_distance(lexicon):
    assert (SUBSTITUTION_COSTS == SUBSTITUTION_COSTS.T).all()
    (p, *_), (b, *_), (s, *_) = (lexicon.sounds(word) for word in ("pa", "ba", "sa"))
    assert 0 == SUBSTITUTION_COSTS[p, p] < SUBSTITUTION_COSTS[p, b] < SUBSTITUTION_COSTS[p, s] <= 1


def test_without_a_dictionary_letters_do():
    reader = Reader(load_intents(), Lexicon(None))
    hits = sum(reader.read(text).intent == key for key, text in RIGHT)
    assert hits / len(RIGHT) >= 0.85
    assert reader.read("tel mi a jouk").intent == "joke"


def test_any_letters_have_a_pronunciation():
    assert letters_to_sounds("xylophone")
    assert letters_to_sounds("ça") != ()
    assert letters_to_sounds("日本") == ()
    assert Lexicon(None).sounds("") == ()


def test_mishearing_is_repeatable(lexicon):
    words = ("cat", "hat", "mat", "dog", "log")
    first, second = (Mishearing(lexicon, words, seed=3).corrupt("the cat sat on the log", 0.9) for _ in range(2))
    assert first == second != "the cat sat on the log"
    assert Mishearing(lexicon, words).corrupt("the cat", 0.0) == "the cat"


def test_a_request_inside_a_long_utterance_is_found(reader):
    said = "hello i am on the train right now and i was wondering what the weather is like in paris because i go there"
    assert reader.read(said).intent == "weather"
    assert reader.read(said).similarity >= ACCEPT
    story = "my grandmother used to knit sweaters for all of the children in the village"
    assert reader.read(story).similarity < ACCEPT
