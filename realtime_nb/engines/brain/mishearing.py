"""Recognition errors on demand: words replaced by others that sound alike, dropped, or added.

For tests and benchmarks of the matcher, and to show in a course what errors do to a dialogue.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence

import numpy as np

from realtime_nb.engines.brain.matcher import PhraseBank
from realtime_nb.engines.brain.phonetics import Lexicon

_NEIGHBOURS = 8
_DROPPED, _ADDED = 0.15, 0.1


class Mishearing:
    """Corrupts sentences as a recogniser with a small vocabulary would; the same seed gives the same errors.

    Args:
        lexicon: how words sound.
        vocabulary: the words that can be heard.
        seed: of the errors.
    """

    def __init__(self, lexicon: Lexicon, vocabulary: Iterable[str], *, seed: int = 0) -> None:
        self._words = tuple(dict.fromkeys(vocabulary))
        self._bank = PhraseBank(self._words, lexicon)
        self._random = random.Random(seed)
        self._near = functools.lru_cache(maxsize=4096)(self._neighbours)

    def _neighbours(self, word: str) -> tuple[str, ...]:
        order = np.argsort(-self._bank.similarities([word]), kind="stable")[: _NEIGHBOURS + 1]
        return tuple(self._words[place] for place in order if self._words[place] != word)[:_NEIGHBOURS]

    def corrupt(self, text: str, rate: float) -> str:
        """Return `text` with about `rate` errors a word (0 to 1)."""
        heard: list[str] = []
        for word in text.split():
            if self._random.random() >= rate:
                heard.append(word)
                continue
            kind = self._random.random()
            if kind >= _DROPPED:
                heard.append(self._random.choice(self._near(word)))
            if kind >= 1 - _ADDED:
                heard.append(self._random.choice(self._words))
        return " ".join(heard)


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words must be replaced, dropped or added to get from `said` to `heard`."""
    row = list(range(len(heard) + 1))
    for place, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], place
        for other, candidate in enumerate(heard, start=1):
            diagonal, row[other] = row[other], min(row[other] + 1, row[other - 1] + 1, diagonal + (word != candidate))
    return row[-1]
