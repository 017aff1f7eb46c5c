"""Written text as the words that are spoken: what a recogniser's language model can use."""

from __future__ import annotations

import re

_ONES = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+")


def spoken_words(text: str) -> tuple[str, ...]:
    """Return the words of the text, lower case, as they are said.

    Numbers up to three digits become words, longer ones digits one by one; `snake_case` and `camelCase` names
    fall apart into their words; everything else that is not a letter is dropped.
    """
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text.replace("’", "'")).lower()
    words: list[str] = []
    for token in _TOKEN.findall(text):
        words.extend(_number_words(token) if token.isdigit() else (token,))
    return tuple(words)


def _number_words(digits: str) -> list[str]:
    number = int(digits[:4])
    if len(digits) > 3 or (digits.startswith("0") and len(digits) > 1):
        return [_ONES[int(digit)] for digit in digits]
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
    rest = number % 100
    return [_ONES[number // 100], "hundred", *(_number_words(str(rest)) if rest else [])]
