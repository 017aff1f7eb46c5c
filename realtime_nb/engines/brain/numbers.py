"""Numbers as people say them: "four two seven", "forty two", "two hundred and five", "double seven"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_UNITS = {
    word: value
    for value, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
}  # fmt: skip
_TEENS = {
    word: value
    for value, word in enumerate(
        ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"],
        start=10,
    )
}
_TENS = {
    word: value * 10
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000}
_REPEATS = {"double": 2, "triple": 3}
_SOUNDALIKES = {
    "to": "two", "too": "two", "for": "four", "fore": "four", "won": "one", "ate": "eight", "tree": "three",
    "free": "three", "sex": "six", "sicks": "six", "nein": "nine", "fife": "five", "oh": "zero", "o": "zero",
    "hate": "eight", "tu": "two", "seben": "seven", "none": "nine", "mine": "nine", "nigh": "nine", "fine": "five",
}  # fmt: skip

NUMBER_WORDS = frozenset({*_UNITS, *_TEENS, *_TENS, *_SCALES, *_REPEATS})


class Number(NamedTuple):
    """A number said at words `start` to `end`: as a value ("forty two" is 42) and digit by digit ("4 2" is "42")."""

    start: int
    end: int
    value: int
    digits: str


def find_numbers(words: Sequence[str], *, soundalikes: bool = False) -> list[Number]:
    """Return the numbers in `words` in order, each as long as possible.

    Args:
        words: lower-case words; digits may be written.
        soundalikes: take "for" and "to" for digits, too: when a number was asked for.
    """
    spoken = [_SOUNDALIKES.get(word, word) if soundalikes else word for word in words]
    found, place = [], 0
    while place < len(spoken):
        end = _end_of_run(spoken, place)
        if end > place:
            found.append(_parse(spoken[place:end], place, end))
        place = max(end, place + 1)
    return found


def _is_number(word: str) -> bool:
    return word in NUMBER_WORDS or word.isdecimal()


def _end_of_run(words: Sequence[str], start: int) -> int:
    if not _is_number(words[start]) and not (words[start] == "a" and words[start + 1 : start + 2] == ["hundred"]):
        return start
    end = start + 1
    while end < len(words):
        joins = words[end] in ("oh", "o") or (words[end] == "and" and words[end - 1] in _SCALES)
        if _is_number(words[end]) or (joins and end + 1 < len(words) and _is_number(words[end + 1])):
            end += 1
        else:
            break
    while end > start + 1 and words[end - 1] in _REPEATS:
        end -= 1
    return end


def _parse(run: Sequence[str], start: int, end: int) -> Number:
    groups: list[str] = []
    total, current, repeat = 0, 0, 1
    previous = ""
    cardinal = any(word in _SCALES for word in run)
    for word in run:
        value = _UNITS.get(word, _TEENS.get(word, _TENS.get(word)))
        value = int(word[:12]) if value is None and word.isdecimal() else value
        if word in _REPEATS:
            repeat = _REPEATS[word]
        elif word in _SCALES:
            total, current = total + max(1, current) * _SCALES[word], 0
        elif value is not None or word in ("oh", "o"):
            digits = word[:12] if word.isdecimal() else str(value or 0)
            if previous in _TENS and word in _UNITS and value:
                groups[-1] = str(_TENS[previous] + value)
                current += value
            else:
                groups.extend([digits] * repeat)
                current = (value or 0) if not current or not cardinal else current + (value or 0)
            repeat = 1
        previous = word
    digits = str(total + current) if cardinal else "".join(groups) or "0"
    value = total + current if cardinal else int(digits[:15])
    return Number(start, end, value, digits)


def say_number(value: int) -> str:
    """Return 0 to 999 in words, others as digits."""
    if not 0 <= value < 1000:
        return str(value)
    names = {number: word for table in (_UNITS, _TEENS, _TENS) for word, number in table.items()}
    if value >= 100:
        rest = f" and {say_number(value % 100)}" if value % 100 else ""
        return f"{names[value // 100]} hundred{rest}"
    if value in names:
        return names[value]
    return f"{names[value // 10 * 10]} {names[value % 10]}"
