"""What an utterance names: order numbers, cities, foods with quantities, people, addresses, days."""

from __future__ import annotations

import functools
import re
import string
import tomllib
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any, NamedTuple

from realtime_nb.engines.brain.matcher import FUNCTION_WORDS
from realtime_nb.engines.brain.numbers import Number, find_numbers, say_number

MAX_CHARACTERS = 1000
_MOST_THINGS = 1_000_000
_FILLER = FUNCTION_WORDS | {"please", "yes", "no", "sorry", "it", "said", "meant", "name", "number", "okay", "order"}
_CONTAINERS_TEXT = """
slice slices piece pieces bowl bowls glass glasses cup cups plate plates bottle bottles large small big medium fresh
of hot cold pair pairs half grilled fried portion portions serving servings
"""
_CONTAINERS = frozenset(_CONTAINERS_TEXT.split())
_ORDER_VERBS = "order|buy|log|ate|eat|had|have|drank|get|like|add|send me|record|want|is in|are in|in|of|for"
_INTRODUCTION = (
    r"\b(?:name is|name's|call me|this is|i am called|i am|i'm|named|customer|about"
    r"|record (?:of|for)|account (?:of|for)|(?:look up|find)(?: the)?(?: customer)?) (\w+)(?: (\w+))?"
)
_NOT_A_THING_TEXT = """
something anything food it that this one to eat order orders lunch breakfast dinner meal account new my log diary
items thing things number status menu some another please nothing none total all left altogether
"""
_NOT_A_KIND = frozenset(("wrong", "right", "last", "first", "other", "same", "next", "whole"))
_NOT_A_THING = frozenset(_NOT_A_THING_TEXT.split())
_UNCOUNTED = frozenset(
    (
        "rice",
        "bread",
        "pasta",
        "water",
        "milk",
        "chicken",
        "toast",
        "soup",
        "bacon",
        "oatmeal",
        "cheese",
        "sushi",
        "fish",
    )
)
_NO_ANSWER_TEXT = """
i'm not no nothing none nobody never don't can't cannot won't didn't know idea forgot lost sure myself yourself matter
care whatever anything anywhere somewhere kill die hurt dead help
"""
_NO_ANSWER = frozenset(_NO_ANSWER_TEXT.split())
"""Words of people who do not name what they were asked for."""


class Item(NamedTuple):
    """A thing and how many of it."""

    quantity: int
    name: str


@functools.cache
def gazetteer() -> dict[str, Any]:
    """Return the lists of known names: cities, days, foods with calories, products, people."""
    text = resources.files(__package__).joinpath("gazetteer.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


class Utterance:
    """One user message: its text and its words, lower case, without punctuation."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text[:MAX_CHARACTERS].split())
        plain = self.text.lower().replace("’", "'")
        self.words: list[str] = [word.strip("'") for word in re.findall(r"[^\W_]+(?:'[^\W_]+)?", plain)]

    @functools.cached_property
    def numbers(self) -> list[Number]:
        return find_numbers(self.words)

    @functools.cached_property
    def free(self) -> dict[int, str]:
        """Places of words that may fill slots, and the sort of each: "number", "cities", "foods" and so on."""
        sorts = {place: "number" for number in self.numbers for place in range(number.start, number.end)}
        lists = gazetteer()
        for sort in ("names", "surnames", "products", "capitals", "days", "foods", "cities"):
            for start, end, _ in _known(self.words, _index(sort, tuple(lists[sort]))):
                if sort in ("foods", "products"):
                    start = self._start_of_thing(start)
                sorts |= dict.fromkeys(range(start, end), sort)
        return sorts

    def _start_of_thing(self, start: int) -> int:
        """Return where "two large pepperoni" before a pizza begins, after the number or the article."""
        place = _before_containers(self, start)
        if place > 0 and self.words[place] not in FUNCTION_WORDS | _NOT_A_KIND:
            before = self.words[place - 1]
            if before in ("a", "an", "the") or before in _CONTAINERS or find_numbers([before]):
                place = _before_containers(self, place)
        return place + 1


@functools.cache
def _index(_: str, names: tuple[str, ...]) -> dict[str, str]:
    index = {name: name for name in names}
    return index | {plural(name): name for name in names if name not in ("rice", "bread", "paris")}


def _known(words: list[str], index: dict[str, str]) -> list[tuple[int, int, str]]:
    """Return (start, end, name) of the known names in `words`, longest first at each place."""
    found, place = [], 0
    while place < len(words):
        for length in (3, 2, 1):
            name = index.get(" ".join(words[place : place + length]))
            if name and place + length <= len(words):
                found.append((place, place + length, name))
                place += length - 1
                break
        place += 1
    return found


def _listed(kind: str, utterance: Utterance) -> list[str]:
    return [name for _, _, name in _known(utterance.words, _index(kind, tuple(gazetteer()[kind])))]


def plural(name: str, quantity: int = 2) -> str:
    """Return `name` as said of `quantity` of them."""
    if quantity == 1 or name.endswith("s"):
        return name
    if name.endswith(("ch", "sh", "x")):
        return name + "es"
    return name[:-1] + "ies" if re.search(r"[^aeiou]y$", name) else name + ("es" if name.endswith("to") else "s")


def _numbers(utterance: Utterance, asked: bool) -> list[Number]:
    """Return the numbers said; as an answer "for to seven" is one, but not the "free" of another sentence."""
    plain = utterance.numbers
    if not asked:
        return plain
    heard = find_numbers(utterance.words, soundalikes=True)
    places = {place for number in heard for place in range(number.start, number.end)}
    if any(word not in _FILLER for place, word in enumerate(utterance.words) if place not in places):
        return [number for number in plain if utterance.words[number.start : number.end] != ["one"]]
    return [one for one in heard if any(one.start <= number.start < one.end for number in plain)] or heard


def _find_order_numbers(utterance: Utterance, asked: bool) -> list[str]:
    marked = re.findall(r"\b[A-Za-z]{1,4}-?\d{2,12}\b|\b\d{2,}-\d+\b", utterance.text)
    least = 1 if asked or re.search(r"\b(number|order)\s+\w+\s*$", utterance.text, re.IGNORECASE) else 2
    return marked or [number.digits for number in _numbers(utterance, asked) if len(number.digits) >= least]


def _find_numbers_said(utterance: Utterance, asked: bool) -> list[int]:
    return [number.value for number in _numbers(utterance, asked)]


def _find_cities(utterance: Utterance, asked: bool) -> list[str]:
    known = [
        name.title() for name in _listed("cities", utterance) if name != "nice" or "in nice" in utterance.text.lower()
    ]
    if known:
        return known
    match = re.search(r"\b(?:in|for|at|to)\s+([A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)*)", utterance.text)
    if match:
        return [match.group(1)]
    rest = _content(utterance, _FILLER | {"city"} | {word for day in gazetteer()["days"] for word in day.split()})
    named = asked and 0 < len(rest) <= 3 and not (_looks_like_a_question(utterance) or "i" in utterance.words)
    return [string.capwords(" ".join(rest))] if named and not _NO_ANSWER & set(utterance.words) else []


def _find_days(utterance: Utterance, asked: bool) -> list[str]:
    dates = re.findall(r"\b\d{4}-\d{2}-\d{2}\b", utterance.text)
    weekdays = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
    return dates or [day.title() if day in weekdays else day for day in _listed("days", utterance)]


def _find_meals(utterance: Utterance, asked: bool) -> list[str]:
    return _listed("meals", utterance)


def _find_emails(utterance: Utterance, asked: bool) -> list[str]:
    written = re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", utterance.text)
    if written:
        return written
    spoken = re.search(
        r"((?:[\w']+ )(?:(?:dot|underscore|dash) [\w']+ )*)at ((?:[\w]+ )+?dot [\w]+)", utterance.text.lower()
    )
    if not spoken:
        return []
    parts = [part.replace(" dot ", ".").replace(" underscore ", "_").replace(" dash ", "-") for part in spoken.groups()]
    return ["@".join(part.replace(" ", "") for part in parts)]


def _find_phones(utterance: Utterance, asked: bool) -> list[str]:
    written = [re.sub(r"[^\d+]", "", match) for match in re.findall(r"\+?\d[\d\s().-]{5,}\d", utterance.text)]
    least = 3 if asked else 6
    return written or [number.digits for number in _numbers(utterance, asked) if len(number.digits) >= least]


def _find_names(utterance: Utterance, asked: bool) -> list[str]:
    text = " ".join(utterance.words)
    stop = _FILLER | set(gazetteer()["days"]) | {"calling", "looking", "not", "customer", "again", "fine", "good"}
    match = re.search(_INTRODUCTION, text)
    marked = bool(match and re.search(r"name|call|record|account|this is|customer", match.group(0)))
    people = set(gazetteer()["names"]) | set(gazetteer()["surnames"])
    if match:
        said = [word for word in match.groups() if word]
        taken = [
            word for place, word in enumerate(said) if word in people or (marked and word not in stop and place == 0)
        ]
        if taken and not taken[0].isdecimal():
            return [string.capwords(" ".join(taken))]
    known = [word for word in utterance.words if word in people]
    if known and (asked or len(known) > 1):
        return [string.capwords(" ".join(known[:2]))]
    rest = [word for word in utterance.words if word not in _FILLER]
    named = asked and 0 < len(rest) <= 3 and not (any(map(str.isdecimal, rest)) or _NO_ANSWER & set(utterance.words))
    return [string.capwords(" ".join(rest))] if named else []


def _find_customers(utterance: Utterance, asked: bool) -> list[str]:
    numbers = [f"number {digits}" for digits in _find_order_numbers(utterance, False) if len(digits) >= 3]
    return _find_emails(utterance, asked) or numbers or _find_names(utterance, asked)


def _find_items(utterance: Utterance, asked: bool) -> list[Item]:
    lists = gazetteer()
    index = _index("things", (*lists["foods"], *lists["products"]))
    found = _known(utterance.words, index)
    if found:
        items = [Item(_quantity_before(utterance, start), name) for start, _, name in found]
        return [item for item in items if item.quantity]
    text = " ".join(utterance.words)
    match = re.search(rf"\b(?:{_ORDER_VERBS}) (.+)$", text) if not asked else re.match(r"(.+)$", text)
    if not match or (asked and (_looks_like_a_question(utterance) or _NO_ANSWER & set(utterance.words))):
        return []
    thing = re.sub(r"\b(?:for|to|in|on|with|please|today|this|from)\b.*$", "", match.group(1)).split()
    names = [word for word in thing if word not in FUNCTION_WORDS | _NOT_A_THING | _CONTAINERS and not word.isdecimal()]
    numbers = find_numbers(thing)
    names = [word for word in names if not find_numbers([word])]
    return [Item(min(numbers[0].value, _MOST_THINGS) if numbers else 1, " ".join(names[:3]))] if names else []


def _quantity_before(utterance: Utterance, start: int) -> int:
    """Return the number before a thing, one word that describes it between or none: "three USB cables"."""
    place = _before_containers(utterance, start)
    described = (
        place >= 0 and utterance.words[place] not in FUNCTION_WORDS and not find_numbers([utterance.words[place]])
    )
    if described and utterance.free.get(place) in (None, utterance.free.get(start)):
        place = _before_containers(utterance, place)
    return next(
        (min(number.value, _MOST_THINGS) for number in utterance.numbers if number.start <= place < number.end), 1
    )


def _before_containers(utterance: Utterance, start: int) -> int:
    place = start - 1
    while place >= 0 and utterance.words[place] in _CONTAINERS:
        place -= 1
    return place


def _find_foods(utterance: Utterance, asked: bool) -> list[str]:
    known = _listed("foods", utterance)
    return known or [item.name for item in _find_items(utterance, asked)]


def _find_countries(utterance: Utterance, asked: bool) -> list[str]:
    known = [name.title() for name in _listed("capitals", utterance)]
    match = re.search(r"capital of (?:the )?(\w+)", " ".join(utterance.words))
    rest = _content(utterance, _FILLER)
    return known or ([match.group(1).title()] if match else []) or ([rest[0].title()] if asked and rest else [])


def _content(utterance: Utterance, filler: Iterable[str]) -> list[str]:
    return [word for word in utterance.words if word not in filler and not word.isdecimal()]


def _looks_like_a_question(utterance: Utterance) -> bool:
    return bool(re.match(r"(what|who|why|when|where|how|which|can|could|do|does|is|are)\b", " ".join(utterance.words)))


def say_items(items: Iterable[Item]) -> str:
    """Return "two pizzas and a coffee"."""
    parts = []
    for quantity, name in items:
        some = name in _UNCOUNTED or name.endswith("s")
        article = "" if some else "an " if name[0] in "aeiou" else "a "
        parts.append(f"{article}{name}" if quantity == 1 else f"{say_number(quantity)} {plural(name, quantity)}")
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" and {parts[-1]}" if parts else "nothing"


SORTS_OF_KIND: dict[str, tuple[str, ...]] = {
    "order_number": ("number",),
    "number": ("number",),
    "phone": ("number",),
    "city": ("cities",),
    "day": ("days",),
    "meal": (),
    "email": (),
    "name": ("names", "surnames"),
    "customer": ("names", "surnames", "number"),
    "items": ("foods", "products", "number"),
    "food": ("foods",),
    "country": ("capitals",),
}
"""The sorts of words (see `Utterance.free`) that each kind of slot is made of."""

FINDERS: dict[str, Callable[[Utterance, bool], list[Any]]] = {
    "order_number": _find_order_numbers,
    "number": _find_numbers_said,
    "city": _find_cities,
    "day": _find_days,
    "meal": _find_meals,
    "email": _find_emails,
    "phone": _find_phones,
    "name": _find_names,
    "customer": _find_customers,
    "items": _find_items,
    "food": _find_foods,
    "country": _find_countries,
}
"""Finds the values of each kind of slot; the second argument says whether this very slot was asked for."""
