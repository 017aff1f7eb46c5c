from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.engines.brain.corrections import cancels_it, names_another, requests_in, self_corrected, takes_back


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("i want two pizzas, no, three pizzas", "i want three pizzas"),
        ("the number is four two one seven no four two one eight", "the number is four two one eight"),
        ("what is the weather in paris, sorry, in london tomorrow", "what is the weather in london tomorrow"),
        ("two coffees make that three", "three coffees"),
        ("i'd like a pizza, no wait, a burger", "i'd like a burger"),
        ("i have no eggs but two pizzas", "i have no eggs but two pizzas"),
        ("one pizza no onions two coffees", "one pizza no onions two coffees"),
        ("no i said four", "no i said four"),
    ],
)
def test_a_correction_within_an_utterance_takes_the_place_of_what_it_corrects(said, meant):
    assert self_corrected(said) == meant


def test_two_requests_are_told_from_one_with_two_parts():
    assert requests_in("what is the weather in rome and where is my order 77") == [
        "what is the weather in rome",
        "where is my order 77",
    ]
    assert requests_in("order two pizzas and then please log a banana") == ["order two pizzas", "log a banana"]
    assert requests_in("two pizzas and a coffee") == ["two pizzas and a coffee"]


def test_it_is_what_was_spoken_of():
    assert cancels_it("can you cancel it please?")
    assert not cancels_it("cancel order 42")
    assert not cancels_it("cancel that")
    assert takes_back("I didn’t have toast")
    assert not takes_back("i had toast")
    assert names_another("how is the weather on mars")
    assert not names_another("do i need an umbrella in the afternoon")
    assert not names_another("what about tomorrow")


@given(st.text(max_size=200))
def test_no_text_breaks_them(text):
    assert isinstance(self_corrected(text), str)
    assert requests_in(text)
    assert not (cancels_it(text) and takes_back(text))
    names_another(text)
