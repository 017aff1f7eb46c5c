"""One fact of a tool's output, a key and its value, as an English sentence.

What a key is decides the sentence: a noun ("The status is shipped."), a verb ("It arrives on Tuesday."), a participle
("It was delivered on May 3."), something countable ("There are 3 orders."), or a yes or no ("It is not in stock.").
A key that is none of these is read out as a label ("Where: Rome.").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNITS = {
    "c": "degrees Celsius", "celsius": "degrees Celsius", "f": "degrees Fahrenheit", "fahrenheit": "degrees Fahrenheit",
    "percent": "percent", "pct": "percent", "usd": "dollars", "eur": "euros", "gbp": "pounds", "km": "kilometres",
    "kg": "kilograms", "g": "grams", "mg": "milligrams", "grams": "grams", "kcal": "calories", "ms": "milliseconds",
    "s": "seconds", "seconds": "seconds", "min": "minutes", "mins": "minutes", "minutes": "minutes", "hours": "hours",
    "days": "days", "weeks": "weeks", "kmh": "kilometres an hour", "kph": "kilometres an hour",
    "mph": "miles an hour", "mm": "millimetres", "cm": "centimetres", "ml": "millilitres", "dollars": "dollars",
    "euros": "euros",
}  # fmt: skip
_FULL_NAMES = {"eta": "estimated arrival", "qty": "quantity", "temp": "temperature", "num": "number", "id": "number"}
_VERBS = _set(
    """arrives departs leaves expires opens closes starts ends begins costs contains includes weighs takes needs
    requires lasts lands renews applies feels serves accepts supports resumes boards finishes belongs goes comes
    happens delivers ships lives works allows comprises""",
)
_EXPECTED = _set("expected due scheduled planned needed required limited called named located based open closed")
_PARTICIPLES = _set("sent paid sold made built found due seen written taken kept lost done bought given born")
_PREPOSITIONS = _set(
    "from to at in on by for with without near until since via between after before under over of per into about"
)
_QUESTIONS = _set("who whom whose what when where why which how")
_DETERMINERS = _set("the your my our his her its their this that")
_SEVERAL = _set("these those all some")
_ADJECTIVES = _set(
    """active busy free late early ready valid correct full empty new old fresh vegan vegetarian sunny rainy windy
    cloudy urgent healthy online offline public private safe open closed due true final right wrong hot cold warm dry
    wet daily weekly monthly yearly current average recent next last previous overall whole"""
)
_SINGULAR = _set("news sms gps dns gas lens bus plus series species always yes minus")
_ONE_OF = {"people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "mice": "mouse"}
_NOUNS = _set(
    """rating booking parking meeting heading tracking building spending training setting listing greeting morning
    evening speed feed need seed bed table cable variable vegetable"""
)
"""They only look as if they described something."""
_AFTER_HEAD = _PREPOSITIONS | _set("left remaining used consumed eaten available today tomorrow yesterday so ago")
_RELATIVE = re.compile(
    r"(today|tonight|tomorrow|yesterday|soon|now|later|next|this|last|in|within|on|at|by|before|after|every)\b"
)
_WEEKDAY = re.compile(r"(mon|tues|wednes|thurs|fri|satur|sun)day\b|\d{4}-\d{2}-\d{2}", re.IGNORECASE)
_CLOCK = re.compile(r"\d{1,2}(:\d{2}){0,2} ?([ap]\.?m\b|o'clock)|\d{1,2}:\d{2}\b|(noon|midnight)\b", re.IGNORECASE)
_LONG_WORDS = 12


def sentence(key: str, value: Any) -> str:
    """Return a fact as a sentence, "" for one that says nothing.

    Args:
        key: as a program names it, `snake_case` or `camelCase`.
        value: a number, text or truth value.
    """
    words = words_of(key)
    said = scalar(value)
    if not said:
        return ""
    if isinstance(value, bool):
        return _truth(words, yes=value)
    for family in (_verb, _participle, _place, _measure, _count):
        found = family(words, value, said)
        if found:
            return found
    if (
        words[0] in _QUESTIONS
        or words[-1] in _PREPOSITIONS
        or (_describes(words[-1]) and not words[-1].endswith("ing"))
    ):
        return _label(words, said)
    several = _several(words)
    if len(said.split()) > _LONG_WORDS or re.search(r"[.!?:;]\s", said):
        return f"{_subject(words)} {'are' if several else 'is'} as follows: {said}."
    return f"{_subject(words)} {'are' if several else 'is'} {said}."


def sentence_of_list(key: str, values: Sequence[Any]) -> str:
    """Return how many there are, or which ones if they are few and short."""
    words, names = words_of(key), [scalar(value) for value in values if isinstance(value, str | int | float)]
    several = _several(words)
    if several and len(names) == len(values) <= 3 and all(name and len(name) < 40 for name in names):
        joined = names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
        return f"{_subject(_one(words))} is {joined}." if len(names) == 1 else f"{_subject(words)} are {joined}."
    if several:
        return _there(words, len(values), str(len(values)))
    return f"{_subject([*words, 'list'])} has {len(values)} {'entry' if len(values) == 1 else 'entries'}."


def scalar(value: Any) -> str:
    """Return a value as it is said."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 1e12 else f"{value:g}"
    text = " ".join(str(value).replace("_", " ").split()).rstrip(".")
    if re.match(r"\d{4}-\d{2}-\d{2}", text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        day = f"{moment:%B} {moment.day}"
        return f"{day} at {moment:%H:%M}" if "T" in text else day
    return text


def words_of(key: str) -> list[str]:
    """Return a key's words, the program's abbreviations written out."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(key)).replace("_", " ").replace("-", " ").lower().split()
    return [part for word in words for part in _FULL_NAMES.get(word, word).split()] or ["value"]


# --- families of keys -----------------------------------------------------------------------------------------------


def _truth(words: list[str], *, yes: bool) -> str:
    first, rest = words[0], " ".join(words[1:])
    no = "" if yes else "not "
    if first in ("is", "are", "was", "were") and rest:
        return f"It is {no}{rest}."
    if first in ("has", "have") and rest:
        return f"It comes {'with' if yes else 'without'} {rest}."
    if first in ("can", "will", "may", "must", "should") and rest:
        return f"It {first} {no}{rest}."
    if first in _VERBS:
        return f"It {' '.join(words) if yes else ' '.join(['does not', _base(first), *words[1:]])}."
    if first in _PREPOSITIONS | {"out"} and rest:
        return f"It is {no}{' '.join(words)}."
    if _describes(words[-1]):
        return f"{'It' if len(words) == 1 else _subject(words[:-1])} is {no}{words[-1]}."
    if _several(words):
        return f"There are {'' if yes else 'no '}{' '.join(words)}."
    return f"As for {_subject(words, start=False)}: {scalar(yes)}."


def _verb(words: list[str], value: Any, said: str) -> str:
    if words[0] not in _VERBS:
        return ""
    unit = _UNITS.get(words[-1]) if isinstance(value, int | float) and len(words) > 1 else None
    if unit:
        return f"It {' '.join(words[:-1])} {_amount(value, unit)}."
    if words[-1] in _PREPOSITIONS or len(words) > 1:
        return f"It {' '.join(_without_preposition(words, said))} {said}."
    return f"It {words[0]} {_when(value, said)}."


def _participle(words: list[str], value: Any, said: str) -> str:
    past = words[0] in _PARTICIPLES | _EXPECTED or words[0].endswith("ed")
    if not past or (len(words) > 1 and words[1] not in _PREPOSITIONS):
        return ""
    be = "is" if words[0] in _EXPECTED else "was"
    if len(words) > 1:
        return f"It {be} {' '.join(_without_preposition(words, said))} {said}."
    when = _when(value, said)
    return f"It {be} {words[0]} {when}." if when != said or _RELATIVE.match(said.lower()) else _label(words, said)


def _place(words: list[str], value: Any, said: str) -> str:
    if len(words) > 1 or words[0] not in _PREPOSITIONS:
        return ""
    return f"It goes to {said}." if words[0] == "to" else f"It is {words[0]} {said}."


def _measure(words: list[str], value: Any, said: str) -> str:
    unit = _UNITS.get(words[-1])
    if unit is None or not isinstance(value, int | float):
        return ""
    named = words[:-1]
    while named and named[-1] in _PREPOSITIONS:
        named = named[:-1]
    if not named:
        return f"It is {_amount(value, unit)}."
    if _describes(named[-1]) and named[-1] not in ("high", "low"):
        named = [*named, "amount"]
    return f"{_subject(named)} {'are' if _several(named) else 'is'} {_amount(value, unit)}."


def _count(words: list[str], value: Any, said: str) -> str:
    if not isinstance(value, int | float) or not _several(words) or words[0] in _DETERMINERS | _SEVERAL:
        return ""
    return _there(words, value, said)


def _label(words: list[str], said: str) -> str:
    return f"{' '.join(words).capitalize()}: {said}."


# --- words ----------------------------------------------------------------------------------------------------------


def _there(words: list[str], number: float, said: str) -> str:
    if number == 1:
        return f"There is {said} {' '.join(_one(words))}."
    return f"There are {'no' if number == 0 else said} {' '.join(words)}."


def _subject(words: list[str], *, start: bool = True) -> str:
    text = " ".join(words) if words[0] in _DETERMINERS | _SEVERAL else f"the {' '.join(words)}"
    return text[0].upper() + text[1:] if start else text


def _head(words: list[str]) -> int:
    """Return where the noun stands that the others describe: last, or before words like "left" and "of"."""
    return next((at - 1 for at, word in enumerate(words) if at and word in _AFTER_HEAD), len(words) - 1)


def _several(words: list[str]) -> bool:
    head = words[_head(words)]
    if words[0] in _SEVERAL or head in _ONE_OF:
        return True
    return len(head) > 2 and head.endswith("s") and not head.endswith(("ss", "us", "is")) and head not in _SINGULAR


def _one(words: list[str]) -> list[str]:
    at = _head(words)
    return [*words[:at], _single(words[at]), *words[at + 1 :]]


def _single(plural: str) -> str:
    if plural.endswith("ies") and len(plural) > 4:
        return plural[:-3] + "y"
    if plural.endswith(("ches", "shes", "sses", "xes")):
        return plural[:-2]
    return _ONE_OF.get(plural, plural.removesuffix("s"))


def _base(verb: str) -> str:
    return verb[:-2] if verb.endswith(("ches", "shes", "sses", "xes", "goes")) else verb.removesuffix("s")


def _describes(word: str) -> bool:
    ending = len(word) > 4 and word.endswith(("ed", "able", "ible", "ing")) and word not in _NOUNS
    return ending or word in _ADJECTIVES | _PARTICIPLES | _EXPECTED


def _amount(value: float, unit: str) -> str:
    first, _, rest = unit.partition(" ")
    one = first.removesuffix("s") if value == 1 else first
    return " ".join(filter(None, (scalar(value), one, rest)))


def _when(value: Any, said: str) -> str:
    """Return a value after a verb: with "on" before a day, "at" before a time of the clock."""
    if _WEEKDAY.match(str(value).strip()):
        return f"on {said}"
    return f"at {said}" if _CLOCK.match(said) else said


def _without_preposition(words: list[str], said: str) -> list[str]:
    """Return the words without a preposition that "tomorrow" or "in 2 days" does not take."""
    if words[-1] not in _PREPOSITIONS:
        return words
    if words[-1] == "at" and _WEEKDAY.match(said):
        return [*words[:-1], "on"]
    if words[-1] == "at" and re.match(r"[A-Z][a-z]+ \d{1,2}( at|$)", said):
        return [*words[:-1], "on"]
    return words[:-1] if _RELATIVE.match(said.lower()) and words[-1] in ("at", "on", "in") else words
