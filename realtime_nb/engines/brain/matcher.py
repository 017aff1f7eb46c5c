"""Finds the phrase that sounds most like what was heard.

A weighted edit distance over sounds, run over all phrases at once: leaving out a phrase's sound costs that sound's
weight (little for "is" and "the"), hearing another costs its share of it, and hearing more than the phrase costs what
the extra word weighs. Similarity is 1 for equal, about 0 for unrelated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from realtime_nb.engines.brain.phonetics import PHONEMES, SUBSTITUTION_COSTS, Lexicon

MAX_WORDS = 40
"""Longer utterances are judged by their first 40 words."""

_FUNCTION_WORDS_TEXT = """
a an the is are am was were be been it its it's i'm i i'd i'll you your my me mine we our us he she they them this
that these those of to for in on at by with from and or but so do does did can could would will shall should may
might please um uh er ah oh well just now really there here have has had if as some any hey okay ok want like need
let let's get give what's please
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())

_PHRASE_WEIGHT = {True: 0.4, False: 1.0}
_EXTRA_WEIGHT = {True: 0.15, False: 0.45}
FREE_EXTRA_WEIGHT = 0.06
"""What an extra sound costs in a word that fills a slot (a number, a city)."""


class PhraseBank:
    """Phrases ready to be compared.

    Args:
        phrases: normalised, words split by single blanks.
        lexicon: how words sound.
    """

    def __init__(self, phrases: Sequence[str], lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        spelled = [self._spell(phrase) for phrase in phrases]
        longest = max((len(sounds) for sounds, _ in spelled), default=0)
        numbers = np.zeros((longest, len(spelled)), np.intp)
        weights = np.zeros((longest, len(spelled)), np.float32)
        for column, (sounds, sound_weights) in enumerate(spelled):
            numbers[: len(sounds), column] = sounds
            weights[: len(sounds), column] = sound_weights
        self._missing = np.zeros((longest + 1, len(spelled)), np.float32)
        np.cumsum(weights, axis=0, out=self._missing[1:])
        self._totals = self._missing[-1].copy()
        padding = np.where(numbers == 0, np.float32(1e3), np.float32(0))
        self._heard_for = np.stack(
            [SUBSTITUTION_COSTS[numbers, heard] * weights + padding for heard in range(len(PHONEMES) + 1)]
        )

    def _spell(self, phrase: str) -> tuple[list[int], list[float]]:
        sounds: list[int] = []
        weights: list[float] = []
        for word in phrase.split():
            spoken = self._lexicon.sounds(word)
            sounds += spoken
            weights += [_PHRASE_WEIGHT[word in FUNCTION_WORDS]] * len(spoken)
        return sounds, weights

    def similarities(self, words: Sequence[str], free: frozenset[int] = frozenset()) -> npt.NDArray[np.float32]:
        """Return how much `words` sound like each phrase; shape (n_phrases,), 1 at best, may be below 0.

        Args:
            words: what was heard.
            free: places of words that fill slots, which may stand beside any phrase.
        """
        costs = self._missing.copy()
        extra_total = 0.0
        for place, word in enumerate(words[:MAX_WORDS]):
            extra = FREE_EXTRA_WEIGHT if place in free else _EXTRA_WEIGHT[word in FUNCTION_WORDS]
            for sound in self._lexicon.sounds(word):
                aligned = costs[:-1] + self._heard_for[sound]
                costs += extra
                extra_total += extra
                np.minimum(costs[1:], aligned, out=costs[1:])
                costs -= self._missing
                np.minimum.accumulate(costs, axis=0, out=costs)
                costs += self._missing
        return 1.0 - costs[-1] / np.maximum(np.maximum(self._totals, extra_total), 0.1)
