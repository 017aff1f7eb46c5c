"""Intents as data: what people say, what is needed for an answer, what the answer is."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources

import msgspec
import numpy as np
import numpy.typing as npt

from realtime_nb.engines.brain.matcher import PhraseBank
from realtime_nb.engines.brain.phonetics import Lexicon
from realtime_nb.engines.brain.slots import FINDERS, SORTS_OF_KIND, Utterance
from realtime_nb.errors import ConfigurationError

_SLOT_BONUS = 0.04
_TASK_BONUS = 0.12
_CERTAIN = 0.75
_LONG_WORDS = 8
_LEAST_INSIDE = 0.85
"""A long utterance that is like no phrase as a whole is searched for one that it contains at least so well."""
_CACHED_READINGS = 512


class Intent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that people want; one table of a file in `intents/`.

    Attributes:
        examples: what people say, lower case, as spoken.
        replies: answers to take turns with; `{name}` fields come from slots, the conversation and the demo data.
        slots: what must be known, name to kind (see `slots.FINDERS`).
        optional: what is also used when it was said.
        ask: questions for each slot.
        hint: what to add when the answer was not understood.
        tools: phrases that a tool for this is called or described by.
        tool_slots: kinds of tool parameters that their names do not tell.
        aside: does not close an open question.
        offers: the intent that a "yes" asks for afterwards.
    """

    examples: tuple[str, ...]
    replies: tuple[str, ...]
    slots: dict[str, str] = {}
    optional: dict[str, str] = {}
    ask: dict[str, tuple[str, ...]] = {}
    hint: dict[str, str] = {}
    tools: tuple[str, ...] = ()
    tool_slots: dict[str, str] = {}
    aside: bool = False
    offers: str | None = None


def load_intents() -> dict[str, Intent]:
    """Return every intent of the files in `intents/`, by name.

    Raises:
        ConfigurationError: a file has a field or a kind of slot that is not known, or a name twice.
    """
    intents: dict[str, Intent] = {}
    folder = resources.files(__package__).joinpath("intents")
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        try:
            tables = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), dict[str, Intent])
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigurationError(f"The intents in {file.name} cannot be used: {error}.") from error
        for key, intent in tables.items():
            unknown = {*intent.slots.values(), *intent.optional.values()} - FINDERS.keys()
            if key in intents or unknown:
                raise ConfigurationError(f"The intent {key!r} in {file.name} is there twice or has slots {unknown}.")
            intents[key] = intent
    return intents


class Reading(msgspec.Struct, frozen=True):
    """What an utterance could mean: intents, the likeliest first, with their similarity (1 at best)."""

    utterance: Utterance
    ranked: tuple[tuple[str, float], ...]

    @property
    def intent(self) -> str:
        """The likeliest intent."""
        return self.ranked[0][0]

    @property
    def similarity(self) -> float:
        """How much it sounds like that intent."""
        return self.ranked[0][1]


class Reader:
    """Ranks the intents for what was said. Equal texts are read once."""

    def __init__(self, intents: Mapping[str, Intent], lexicon: Lexicon) -> None:
        self.intents = intents
        self._lexicon = lexicon
        self._keys = tuple(intents)
        phrases = [example for intent in intents.values() for example in intent.examples]
        self._starts = np.cumsum([0, *(len(intent.examples) for intent in intents.values())][:-1])
        sorts = {sort for kinds in SORTS_OF_KIND.values() for sort in kinds}
        self._tasks = np.array([_TASK_BONUS if intent.tools else 0.0 for intent in intents.values()], np.float32)
        self._bank = PhraseBank(phrases, lexicon, {sort: self._accepting(sort) for sort in sorts})
        self.read = functools.lru_cache(maxsize=_CACHED_READINGS)(self._read)
        self._banks = functools.lru_cache(maxsize=64)(lambda phrases: PhraseBank(phrases, lexicon))

    def _accepting(self, sort: str) -> npt.NDArray[np.bool_]:
        accepted = []
        for intent in self.intents.values():
            kinds = [*intent.slots.values(), *intent.optional.values()]
            accepted += [any(sort in SORTS_OF_KIND[kind] for kind in kinds)] * len(intent.examples)
        return np.array(accepted, np.bool_)

    def _read(self, text: str) -> Reading:
        utterance = Utterance(text)
        best = np.maximum.reduceat(self._bank.similarities(utterance.words, utterance.free), self._starts)
        if utterance.free:
            for place, intent in enumerate(self.intents.values()):
                if any(FINDERS[kind](utterance, False) for kind in intent.slots.values()):
                    best[place] += _SLOT_BONUS
        if best.max() < _CERTAIN and len(utterance.words) >= _LONG_WORDS:
            inside = np.maximum.reduceat(self._bank.contained(utterance.words, utterance.free), self._starts)
            best = np.maximum(best, np.where(inside >= _LEAST_INSIDE, inside * 0.9 + self._tasks, 0.0))
        order = np.argsort(-best, kind="stable")[:6]
        return Reading(utterance, tuple((self._keys[place], float(best[place])) for place in order))

    def nearest(self, words: tuple[str, ...], phrases: tuple[str, ...], least: float) -> str | None:
        """Return the one of `phrases` that sounds most like any stretch of `words`, None below similarity `least`."""
        if not phrases:
            return None
        bank = self._banks(phrases)
        best, chosen = least, None
        for length in {1, *(len(phrase.split()) for phrase in phrases)}:
            for start in range(min(40, max(1, len(words) - length + 1))):
                similar = bank.similarities(words[start : start + length])
                if similar.size and float(similar.max()) > best:
                    best, chosen = float(similar.max()), phrases[int(similar.argmax())]
        return chosen
