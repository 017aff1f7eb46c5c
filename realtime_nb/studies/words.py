"""How many words were misheard."""

from __future__ import annotations

import re
import unicodedata

_NOT_A_WORD = re.compile(r"[^\w' ]+")


def words_of(text: str) -> list[str]:
    """Return the words that are compared: lower case, without punctuation, compatibility forms unified (NFKC)."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return [word for word in (each.strip("'") for each in _NOT_A_WORD.sub(" ", plain).split()) if word]


def word_errors(spoken: str, heard: str) -> int:
    """Return the least number of words to change, drop or add that turns what was heard into what was spoken.

    Divided by the number of spoken words it is the word error rate. Numbers and spellings are compared as written.
    """
    truth, guess = words_of(spoken), words_of(heard)
    above = list(range(len(guess) + 1))
    for row, word in enumerate(truth, start=1):
        current = [row]
        for column, other in enumerate(guess, start=1):
            changed = above[column - 1] + (word != other)
            current.append(min(changed, above[column] + 1, current[-1] + 1))
        above = current
    return above[-1]
