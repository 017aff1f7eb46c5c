"""How words sound: pronunciations, and how far apart two sounds are.

Pronunciations come from the cmudict that the `pocketsphinx` wheel carries; where it is missing, or lacks a word,
letter-to-sound rules of our own give a rough one.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

_VOWELS = {
    # height 0 (low) to 3 (high), backness 0 (front) to 2, rounded, glides
    "IY": (3, 0, 0, 0),
    "IH": (2.5, 0.4, 0, 0),
    "EY": (2, 0, 0, 1),
    "EH": (1.5, 0, 0, 0),
    "AE": (0.6, 0, 0, 0),
    "AA": (0, 1.6, 0, 0),
    "AO": (0.8, 2, 1, 0),
    "OW": (1.8, 2, 1, 1),
    "UH": (2.5, 1.7, 1, 0),
    "UW": (3, 2, 1, 0),
    "AH": (1.3, 1, 0, 0),
    "ER": (1.5, 1, 0.5, 0.5),
    "AW": (0.3, 1.2, 0.5, 1),
    "AY": (0.3, 0.8, 0, 1),
    "OY": (1.2, 1.6, 1, 1),
}
_CONSONANTS = {
    # place 0 (lips) to 7 (throat), manner, voiced
    "P": (0, "stop", 0),
    "B": (0, "stop", 1),
    "M": (0, "nasal", 1),
    "F": (1, "fricative", 0),
    "V": (1, "fricative", 1),
    "TH": (2, "fricative", 0),
    "DH": (2, "fricative", 1),
    "T": (3, "stop", 0),
    "D": (3, "stop", 1),
    "N": (3, "nasal", 1),
    "S": (3, "fricative", 0),
    "Z": (3, "fricative", 1),
    "L": (3, "liquid", 1),
    "R": (4, "liquid", 1),
    "SH": (4, "fricative", 0),
    "ZH": (4, "fricative", 1),
    "CH": (4, "affricate", 0),
    "JH": (4, "affricate", 1),
    "Y": (5, "glide", 1),
    "K": (6, "stop", 0),
    "G": (6, "stop", 1),
    "NG": (6, "nasal", 1),
    "W": (0, "glide", 1),
    "HH": (7, "fricative", 0),
}
_NEAR = {("ER", "R"): 0.25, ("W", "UW"): 0.4, ("Y", "IY"): 0.4, ("T", "CH"): 0.3, ("D", "JH"): 0.3}
_MANNER_NEAR = {frozenset(("stop", "affricate")), frozenset(("fricative", "affricate")), frozenset(("liquid", "glide"))}

PHONEMES = (*_VOWELS, *_CONSONANTS)
"""The sounds of cmudict; a sound's number is its place here plus one, 0 is padding."""

_NUMBER = {name: number for number, name in enumerate(PHONEMES, start=1)}

_LETTER_RULES = [
    (re.compile(f"^(?:{pattern})"), tuple(sounds.split()))
    for pattern, sounds in [
        ("tion", "SH AH N"), ("sion", "ZH AH N"), ("ough", "AO"), ("igh", "AY"), ("tch", "CH"), ("sch", "S K"),
        ("eau", "OW"), ("ture", "CH ER"), ("ch", "CH"), ("sh", "SH"), ("th", "TH"), ("ph", "F"), ("wh", "W"),
        ("ck", "K"), ("ng", "NG"), ("qu", "K W"), ("kn", "N"), ("wr", "R"), ("ee|ea|ie", "IY"), ("oo", "UW"),
        ("ou|ow", "AW"), ("ai|ay|ei|ey", "EY"), ("oa|oe", "OW"), ("oi|oy", "OY"), ("au|aw", "AO"), ("ar", "AA R"),
        ("er|ir|ur", "ER"), ("or", "AO R"), ("dge", "JH"), ("ge$", "JH"), ("ce$", "S"), ("c(?=[eiy])", "S"),
        ("g(?=[ei])", "JH"), ("y$", "IY"), ("e$", ""), ("a(?=[^aeiou]e$)", "EY"), ("i(?=[^aeiou]e$)", "AY"),
        ("o(?=[^aeiou]e$)", "OW"), ("u(?=[^aeiou]e$)", "UW"), ("a", "AE"), ("b+", "B"), ("c+", "K"), ("d+", "D"),
        ("e", "EH"), ("f+", "F"), ("g+", "G"), ("h", "HH"), ("i", "IH"), ("j", "JH"), ("k+", "K"), ("l+", "L"),
        ("m+", "M"), ("n+", "N"), ("o", "OW"), ("p+", "P"), ("q", "K"), ("r+", "R"), ("s+", "S"), ("t+", "T"),
        ("u", "AH"), ("v+", "V"), ("w", "W"), ("x", "K S"), ("y", "Y"), ("z+", "Z"), ("'", ""), (".", ""),
    ]
]  # fmt: skip


def _distance(first: str, second: str) -> float:
    near = _NEAR.get((first, second)) or _NEAR.get((second, first))
    if first == second:
        return 0.0
    if near is not None:
        return near
    if first in _VOWELS and second in _VOWELS:
        height, back, rounded, glide = (abs(a - b) for a, b in zip(_VOWELS[first], _VOWELS[second], strict=True))
        return min(0.7, 0.1 + 0.13 * height + 0.13 * back + 0.06 * rounded + 0.08 * glide)
    if first in _CONSONANTS and second in _CONSONANTS:
        (place, manner, voice), (place2, manner2, voice2) = _CONSONANTS[first], _CONSONANTS[second]
        manners = 0.0 if manner == manner2 else 0.2 if frozenset((manner, manner2)) in _MANNER_NEAR else 0.4
        return min(0.95, manners + min(0.45, 0.12 * abs(place - place2)) + 0.15 * abs(voice - voice2))
    return 1.0


def _substitution_costs() -> npt.NDArray[np.float32]:
    costs = np.ones((len(PHONEMES) + 1,) * 2, np.float32)
    for first in PHONEMES:
        for second in PHONEMES:
            costs[_NUMBER[first], _NUMBER[second]] = _distance(first, second)
    return costs


SUBSTITUTION_COSTS = _substitution_costs()
"""Cost, 0 to 1, of hearing one sound for another; shape (40, 40), row and column 0 are padding."""


def dictionary_path() -> Path | None:
    """Return where the pronunciation dictionary lies, None when `pocketsphinx` is not installed."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    return path if path.is_file() else None


class Lexicon:
    """Pronunciations of words as tuples of sound numbers; each word is looked up once.

    Args:
        path: a dictionary in cmudict's form; None goes by the letters alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._text = b"\n" + path.read_bytes() if path else b""
        self._section: dict[bytes, tuple[int, int]] = {}
        start = 0
        for letter in (bytes([code]) for code in range(ord("a"), ord("z") + 1)):
            following = bytes([letter[0] + 1])
            end = self._text.find(b"\n" + following, start)
            self._section[letter] = (start, end if end >= 0 else len(self._text))
            start = max(start, end)
        self.sounds = functools.lru_cache(maxsize=8192)(self._sounds)

    def some_words(self, count: int) -> tuple[str, ...]:
        """Return about `count` words spread evenly over the dictionary; none without a dictionary."""
        words = [line.split(b" ", 1)[0] for line in self._text.splitlines()]
        plain = [word.decode() for word in words if word.isalpha()]
        return tuple(plain[:: max(1, len(plain) // count)])

    def _sounds(self, word: str) -> tuple[int, ...]:
        found = self._look_up(word)
        return found if found else letters_to_sounds(word)

    def _look_up(self, word: str) -> tuple[int, ...]:
        key = word.encode()
        start, end = self._section.get(key[:1], (0, 0))
        at = self._text.find(b"\n" + key + b" ", start, end + len(key) + 2)
        if at < 0:
            return ()
        line = self._text[at + 1 : self._text.find(b"\n", at + 1)].decode()
        return tuple(_NUMBER[name] for name in line.split()[1:] if name in _NUMBER)


def letters_to_sounds(word: str) -> tuple[int, ...]:
    """Return a rough pronunciation by spelling, empty when `word` has no letter."""
    rest, sounds = word.lower(), list[str]()
    while rest:
        for pattern, names in _LETTER_RULES:
            if match := pattern.match(rest):
                sounds += names
                rest = rest[match.end() :]
                break
    return tuple(_NUMBER[name] for name in sounds if name in _NUMBER)
