from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_nb.engines.brain.numbers import find_numbers, say_number
from realtime_nb.engines.brain.slots import FINDERS, Item, Utterance, gazetteer, say_items


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("four two seven", "427"),
        ("forty two seventeen", "4217"),
        ("one hundred and five", "105"),
        ("two thousand three hundred", "2300"),
        ("double five oh nine", "5509"),
        ("triple one", "111"),
        ("4 2 7", "427"),
        ("a hundred", "100"),
        ("twenty one", "21"),
        ("twenty twenty", "2020"),
    ],
)
def test_numbers_as_people_say_them(said, digits):
    (number,) = find_numbers(said.split())
    assert number.digits == digits
    assert (number.start, number.end) == (0, len(said.split()))


def test_soundalikes_count_only_when_a_number_was_asked_for():
    assert find_numbers(["for", "to", "seven"])[0].digits == "7"
    assert find_numbers(["for", "to", "seven"], soundalikes=True)[0].digits == "427"
    assert find_numbers(["to", "be", "or"]) == []


@given(st.integers(0, 999))
def test_a_number_said_is_understood(value):
    (number,) = find_numbers(say_number(value).split())
    assert number.value == value


@pytest.mark.parametrize(
    ("kind", "said", "asked", "found"),
    [
        ("order_number", "where is order four two seven", False, ["427"]),
        ("order_number", "order A-1234 please", False, ["A-1234"]),
        ("order_number", "one", False, []),
        ("order_number", "one", True, ["1"]),
        ("order_number", "i want a refund for order 12", True, ["12"]),
        ("order_number", "for two seven", True, ["427"]),
        ("order_number", "is it gluten free", True, []),
        ("order_number", "the pizza one", True, []),
        ("city", "weather in new york and paris", False, ["New York", "Paris"]),
        ("city", "i don't know", True, []),
        ("city", "i want to go home", True, []),
        ("city", "it's port-au-prince", True, ["Port Au Prince"]),
        ("city", "weather in Springfield", False, ["Springfield"]),
        ("city", "gotham please", True, ["Gotham"]),
        ("city", "that is nice", False, []),
        ("items", "two large pizzas and a cup of coffee", False, [Item(2, "pizza"), Item(1, "coffee")]),
        ("items", "log quinoa for lunch", False, [Item(1, "quinoa")]),
        ("items", "order 3 usb cables and a pen", False, [Item(3, "cable"), Item(1, "pen")]),
        ("items", "nothing", True, []),
        ("items", "i want to order something", False, []),
        ("items", "place an order", False, []),
        ("name", "my name is anna smith", False, ["Anna Smith"]),
        ("name", "i am fine", False, []),
        ("name", "miller", True, ["Miller"]),
        ("email", "john dot smith at example dot com", False, ["john.smith@example.com"]),
        ("email", "write to j.doe@mail.example.org", False, ["j.doe@mail.example.org"]),
        ("phone", "call me at five five five one two three four", False, ["5551234"]),
        ("phone", "+1 (555) 123-4567", False, ["+15551234567"]),
        ("customer", "find customer sarah jones", False, ["Sarah Jones"]),
        ("customer", "look up maria", False, ["Maria"]),
        ("customer", "find my account", False, []),
        ("customer", "customer number 4 2 7 7", False, ["number 4277"]),
        ("day", "on monday or tomorrow", False, ["Monday", "tomorrow"]),
        ("day", "on 2026-12-24", False, ["2026-12-24"]),
        ("meal", "for lunch", False, ["lunch"]),
        ("food", "calories of an egg", False, ["egg"]),
        ("country", "what is the capital of spain", False, ["Spain"]),
        ("number", "ten minutes", False, [10]),
    ],
)
def test_slots(kind, said, asked, found):
    assert FINDERS[kind](Utterance(said), asked) == found


def test_items_are_said_naturally():
    some = [Item(2, "pizza"), Item(1, "orange juice"), Item(1, "apple")]
    assert say_items(some) == "two pizzas, an orange juice and an apple"
    assert say_items([Item(1, "rice")]) == "rice"
    assert say_items([Item(3, "cherry"), Item(2, "sandwich")]) == "three cherries and two sandwiches"
    assert say_items([]) == "nothing"


@given(st.text(max_size=300), st.booleans())
def test_no_text_breaks_a_finder(text, asked):
    utterance = Utterance(text)
    for kind, finder in FINDERS.items():
        assert isinstance(finder(utterance, asked), list), kind
    assert all(0 <= place < len(utterance.words) for place in utterance.free)


def test_the_lists_are_lower_case():
    lists = gazetteer()
    names = [name for value in lists.values() for name in value]
    assert all(name == name.lower() for name in names)
