"""A small trigram language model and the pronunciations that go with it, built from sentences at start-up.

The sentences are those of `domains/*.txt`, their `{slots}` filled in from `domains/slots.toml`, plus whatever a session
brings (instructions, tool descriptions, a transcription prompt). The result is text in the ARPA format and a
subset of the recogniser's dictionary; with the subset a decoder loads in some 20 ms, with all of it in seconds.
"""

from __future__ import annotations

import bisect
import functools
import math
import random
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from realtime_nb.engines.pronunciation import guess_pronunciation
from realtime_nb.engines.spoken_text import spoken_words

FILLINGS_PER_SENTENCE = 24
SESSION_SENTENCE_WEIGHT = 2.0
MAX_SESSION_WORDS = 2_000
BACKED_OFF = {2: 0.35, 3: 0.3}
"""Probability kept back at each order for words not seen after this history."""

Words = tuple[str, ...]
Counts = dict[int, Counter[Words]]
"""By order: how often each n-gram is said, weighted."""


class DomainModel(NamedTuple):
    """What a decoder is given.

    Attributes:
        arpa: the language model.
        dictionary: a line for each pronunciation.
        guessed: words whose pronunciation was guessed from their spelling.
    """

    arpa: str
    dictionary: str
    guessed: tuple[str, ...]


@functools.cache
def domain_sentences() -> Mapping[Words, float]:
    """Return the sentences of the bundled domains with their slots filled in, and how much each weighs."""
    folder = resources.files("realtime_nb.engines") / "domains"
    slots: dict[str, list[str]] = tomllib.loads((folder / "slots.toml").read_text("utf-8"))
    rng = random.Random(7)
    weights: dict[Words, float] = defaultdict(float)
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".txt"):
            continue
        for line in file.read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                filled = _fill(line, slots, rng)
                for words in filled:
                    weights[words] += (1.0 if len(filled) == 1 else 2.0) / len(filled)
    return weights


def _fill(line: str, slots: Mapping[str, Sequence[str]], rng: random.Random) -> list[Words]:
    names = re.findall(r"\{(\w+)\}", line)
    if not names:
        return [spoken_words(line)]
    choices: list[Words]
    if len(names) == 1:
        choices = [(value,) for value in slots[names[0]]]
    else:
        choices = [tuple(rng.choice(slots[name]) for name in names) for _ in range(FILLINGS_PER_SENTENCE)]
    pieces = re.split(r"\{\w+\}", line)
    return [
        spoken_words("".join(piece + value for piece, value in zip(pieces, (*choice, ""), strict=True)))
        for choice in choices
    ]


def session_sentences(vocabulary: Sequence[str]) -> list[Words]:
    """Return the sentences in a session's texts, at most 2,000 words of them."""
    sentences: list[Words] = []
    left = MAX_SESSION_WORDS
    for text in vocabulary:
        for sentence in re.split(r"[.!?;:\n]+", text):
            words = spoken_words(sentence)[:left]
            if words:
                sentences.append(words)
                left -= len(words)
    return sentences


def build(vocabulary: Sequence[str], dictionary_path: Path) -> DomainModel:
    """Build the model of the bundled domains and a session's own texts.

    Args:
        vocabulary: sentences or words to expect besides the bundled ones.
        dictionary_path: the recogniser's full dictionary, cmudict format, sorted by word.
    """
    sentences = session_sentences(vocabulary)
    counts = {order: counter.copy() for order, counter in _domain_counts().items()}
    _count(((words, SESSION_SENTENCE_WEIGHT) for words in sentences), counts)
    domain = _domain_pronunciations(dictionary_path)
    others = {word for (word,) in counts[1]} - {"<s>", "</s>"} - domain.keys()
    known = domain | _pronunciations(others, dictionary_path)
    guessed = tuple(sorted(others - known.keys()))
    lines = [line for entries in known.values() for line in entries]
    lines += [f"{word} {guess_pronunciation(word)}" for word in guessed]
    return DomainModel(_arpa(counts), "\n".join(lines) + "\n", guessed)


@functools.cache
def _domain_counts() -> Counts:
    counts: Counts = {order: Counter() for order in (1, 2, 3)}
    _count(domain_sentences().items(), counts)
    return counts


def _count(sentences: Iterable[tuple[Words, float]], counts: Counts) -> None:
    for words, weight in sentences:
        padded = ("<s>", *words, "</s>")
        for order, counter in counts.items():
            for start in range(len(padded) - order + 1):
                counter[padded[start : start + order]] += weight  # type: ignore[assignment]


@functools.cache
def _domain_pronunciations(dictionary_path: Path) -> dict[str, list[str]]:
    return _pronunciations({word for words in domain_sentences() for word in words}, dictionary_path)


def _pronunciations(words: Collection[str], dictionary_path: Path) -> dict[str, list[str]]:
    """Return the dictionary's lines for each of the words that it has."""
    lines = dictionary_path.read_text("utf-8").splitlines() if words else []
    found: dict[str, list[str]] = {}
    for word in sorted(words):
        start = bisect.bisect_left(lines, word, key=_entry)
        end = bisect.bisect_right(lines, word, lo=start, key=_entry)
        if start < end:
            found[word] = lines[start:end]
    return found


def _entry(line: str) -> str:
    return line.partition(" ")[0].partition("(")[0]


def _arpa(counts: Counts) -> str:
    """Return a back-off trigram model: a fixed share of each history's mass is kept for the unseen."""
    counts[1][("<s>",)] = 0
    total = sum(counts[1].values())
    unigrams = {words[0]: (count + 0.5) / (total + 0.5 * len(counts[1])) for words, count in counts[1].items()}
    conditional = {order: _conditional(counts[order], 1.0 - BACKED_OFF[order]) for order in (2, 3)}
    bigrams, trigrams = conditional[2], conditional[3]
    backoff = {history: _alpha(row, unigrams, BACKED_OFF[2]) for history, row in bigrams.items()}

    def bigram(first: str, second: str) -> float:
        row = bigrams.get((first,), {})
        return row[second] if second in row else backoff.get((first,), 1.0) * unigrams[second]

    backoff3 = {
        history: _alpha(row, {word: bigram(history[1], word) for word in row}, BACKED_OFF[3], whole=False)
        for history, row in trigrams.items()
    }
    sections = [
        [
            _line(-99.0 if word == "<s>" else math.log10(p), (word,), backoff.get((word,)))
            for word, p in sorted(unigrams.items())
        ],
        [
            _line(math.log10(p), (*history, word), backoff3.get((*history, word)))
            for history, row in sorted(bigrams.items())
            for word, p in sorted(row.items())
        ],
        [
            _line(math.log10(p), (*history, word), None)
            for history, row in sorted(trigrams.items())
            for word, p in sorted(row.items())
        ],
    ]
    head = "\\data\\\n" + "".join(f"ngram {order}={len(lines)}\n" for order, lines in enumerate(sections, 1))
    body = "".join(f"\n\\{order}-grams:\n" + "".join(lines) for order, lines in enumerate(sections, 1))
    return head + body + "\n\\end\\\n"


def _conditional(counts: Mapping[Words, float], mass: float) -> dict[Words, dict[str, float]]:
    rows: dict[Words, dict[str, float]] = defaultdict(dict)
    for words, count in counts.items():
        rows[words[:-1]][words[-1]] = count
    for row in rows.values():
        scale = mass / sum(row.values())
        for word in row:
            row[word] *= scale
    return rows


def _alpha(row: Iterable[str], lower: Mapping[str, float], kept: float, *, whole: bool = True) -> float:
    """Return the back-off weight that spreads `kept` over the words not in the row."""
    rest = 1.0 - sum(lower[word] for word in row)
    return kept / max(rest, 1e-4) if whole or rest > 1e-4 else 1.0


def _line(log_probability: float, words: Words, backoff: float | None) -> str:
    tail = "" if backoff is None else f" {math.log10(backoff):.4f}"
    return f"{log_probability:.4f} {' '.join(words)}{tail}\n"
