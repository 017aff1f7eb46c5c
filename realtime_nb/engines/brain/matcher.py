"""Finds the phrase that sounds most like what was heard.

A weighted edit distance over sounds, run over all phrases at once: leaving out a phrase's sound costs that sound's
weight (little for "is" and "the"), hearing another costs its share of it, and hearing more than the phrase costs what
the extra word weighs. Similarity is 1 for equal, about 0 for unrelated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from realtime_nb.engines.brain.phonetics import SUBSTITUTION_COSTS, Lexicon

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
_EXTRA_WEIGHT = {True: 0.15, False: 0.3}
FREE_EXTRA_WEIGHT = 0.06
"""What an extra sound costs in a word that fills a slot (a number, a city)."""
_STRAY_WEIGHT = 0.3
"""What it costs beside a phrase of an intent without such a slot."""
_FREE_STRICTNESS = 3.0
"""Such a word stands for another one only if it sounds nearly the same."""

_PLACE_WEIGHT = 2.5
_LEAST_CONTAINED = 7.0
"""Weight that a phrase needs to be looked for inside a longer utterance."""
SORTS = ("number", "cities", "days", "foods", "products", "names", "surnames", "capitals")
"""The sorts of slot words, which a phrase may stand for as `{cities}`."""
_PLACE_SOUNDS = {sort: number for number, sort in enumerate(SORTS, start=len(SUBSTITUTION_COSTS))}
_COSTS = np.ones((len(SUBSTITUTION_COSTS) + len(SORTS),) * 2, np.float32)
_COSTS[: len(SUBSTITUTION_COSTS), : len(SUBSTITUTION_COSTS)] = SUBSTITUTION_COSTS
np.fill_diagonal(_COSTS, 0.0)


class PhraseBank:
    """Phrases ready to be compared.

    Args:
        phrases: lower-case words split by single blanks; `{cities}` stands for any known city (see `SORTS`).
        lexicon: how words sound.
        accepts: for each sort of slot words, which phrases may be said with such words beside them.
    """

    def __init__(
        self, phrases: Sequence[str], lexicon: Lexicon, accepts: Mapping[str, npt.NDArray[np.bool_]] | None = None
    ) -> None:
        self._lexicon = lexicon
        self._extra = {
            sort: np.where(accepted, FREE_EXTRA_WEIGHT, _STRAY_WEIGHT).astype(np.float32)
            for sort, accepted in (accepts or {}).items()
        }
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
        heard_for = np.stack([_COSTS[numbers, heard] * weights for heard in range(len(_COSTS))])
        self._heard_for = heard_for + padding
        self._free_heard_for = np.minimum(heard_for * _FREE_STRICTNESS, weights) + padding

    def _spell(self, phrase: str) -> tuple[list[int], list[float]]:
        sounds: list[int] = []
        weights: list[float] = []
        for word in phrase.split():
            if word[0] == "{":
                sounds.append(_PLACE_SOUNDS[word[1:-1]])
                weights.append(_PLACE_WEIGHT)
                continue
            spoken = self._lexicon.sounds(word)
            sounds += spoken
            weights += [_PHRASE_WEIGHT[word in FUNCTION_WORDS]] * len(spoken)
        return sounds, weights

    def similarities(self, words: Sequence[str], free: Mapping[int, str] | None = None) -> npt.NDArray[np.float32]:
        """Return how much `words` sound like each phrase; shape (n_phrases,), 1 at best, may be below 0.

        Args:
            words: what was heard.
            free: places of words that may fill slots, and their sort.
        """
        costs = self._missing.copy()
        extra_total = np.zeros_like(self._totals)
        for place, word in enumerate(words[:MAX_WORDS]):
            extra: npt.NDArray[np.float32] | float = _EXTRA_WEIGHT[word in FUNCTION_WORDS]
            heard_for = self._heard_for
            if free and place in free:
                extra = self._extra.get(free[place], _STRAY_WEIGHT)
                heard_for = self._free_heard_for
                if free.get(place - 1) != free[place]:
                    costs = self._hear(costs, self._heard_for[_PLACE_SOUNDS[free[place]]], 0.0)
            for sound in self._lexicon.sounds(word):
                costs = self._hear(costs, heard_for[sound], extra)
                extra_total += extra
        return 1.0 - costs[-1] / np.maximum(np.maximum(self._totals, extra_total), 0.1)

    def contained(self, words: Sequence[str], free: Mapping[int, str]) -> npt.NDArray[np.float32]:
        """Return how much the best stretch of `words` sounds like each phrase; shape (n_phrases,).

        Phrases too short to be told from chance are never found (0).
        """
        costs = self._missing.copy()
        best = costs[-1].copy()
        for place, word in enumerate(words[:MAX_WORDS]):
            sounds = [(sound, _EXTRA_WEIGHT[word in FUNCTION_WORDS]) for sound in self._lexicon.sounds(word)]
            if place in free and free.get(place - 1) != free[place]:
                sounds.insert(0, (_PLACE_SOUNDS[free[place]], 0.0))
            for sound, extra in sounds:
                costs = self._hear(costs, self._heard_for[sound], FREE_EXTRA_WEIGHT if place in free else extra)
                costs[0] = 0.0
                costs = np.minimum(costs, self._missing)
                np.minimum(best, costs[-1], out=best)
        found: npt.NDArray[np.float32] = 1.0 - best / np.maximum(self._totals, 0.1)
        found[self._totals < _LEAST_CONTAINED] = 0.0
        return found

    def _hear(
        self, costs: npt.NDArray[np.float32], heard_for: npt.NDArray[np.float32], extra: npt.NDArray[np.float32] | float
    ) -> npt.NDArray[np.float32]:
        aligned = costs[:-1] + heard_for
        costs = costs + extra
        np.minimum(costs[1:], aligned, out=costs[1:])
        costs -= self._missing
        np.minimum.accumulate(costs, axis=0, out=costs)
        costs += self._missing
        return costs
