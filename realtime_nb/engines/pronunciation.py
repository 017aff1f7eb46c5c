"""Pronunciations guessed from spelling, for words that the dictionary lacks (product and function names, mostly).

Rules of thumb, longest spelling first: right for regular words, wrong for "colonel". A wrong guess costs that
word only.
"""

from __future__ import annotations

_SOUNDS = {
    "tion": "SH AH N", "sion": "ZH AH N", "ture": "CH ER", "ough": "AO", "augh": "AO", "eigh": "EY", "igh": "AY",
    "tch": "CH", "sch": "S K", "dge": "JH", "air": "EH R", "ear": "IH R", "our": "AW R", "oor": "AO R", "ing": "IH NG",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "gh": "G", "wh": "W", "wr": "R", "kn": "N", "ck": "K", "qu": "K W",
    "ng": "NG", "nk": "NG K", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oa": "OW", "oi": "OY",
    "oy": "OY", "ai": "EY", "ay": "EY", "au": "AO", "aw": "AO", "ie": "IY", "ei": "EY", "ey": "IY", "ew": "UW",
    "ue": "UW", "ui": "UW", "ar": "AA R", "er": "ER", "ir": "ER", "or": "AO R", "ur": "ER", "ce": "S EH", "ci": "S IH",
    "cy": "S IY", "ge": "JH EH", "gi": "JH IH",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "Y", "z": "Z",
}  # fmt: skip
_LONG = {"a": "EY", "e": "IY", "i": "AY", "o": "OW", "u": "UW"}
_LETTER_NAMES = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY",
    "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW",
    "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S",
    "y": "W AY", "z": "Z IY",
}  # fmt: skip
_VOWELS = "aeiouy"


def guess_pronunciation(word: str) -> str:
    """Return ARPAbet phones for a lower-case word; one without vowels is spelt out."""
    letters = word.replace("'", "")
    if not any(letter in _VOWELS for letter in letters):
        return " ".join(_LETTER_NAMES[letter] for letter in letters)
    phones: list[str] = []
    at = 0
    while at < len(letters):
        size, sound = _sound_at(letters, at)
        phones.extend(sound.split())
        at += size
    return " ".join(phone for n, phone in enumerate(phones) if n == 0 or phone != phones[n - 1])


def _sound_at(letters: str, at: int) -> tuple[int, str]:
    end = len(letters)
    letter = letters[at]
    if letter in _LONG and at + 3 == end and letters[-1] == "e" and letters[at + 1] not in _VOWELS:
        return 1, _LONG[letter]
    if letter == "e" and at == end - 1 and at > 1:
        return 1, ""
    if letter == "y" and at == end - 1 and at > 0:
        return 1, "IY"
    if letter == "y" and at > 0:
        return 1, "IH"
    if letter in _LONG and at == end - 1:
        return 1, {"a": "AH", "o": "OW", "i": "IY"}.get(letter, _LONG[letter])
    for size in (4, 3, 2):
        sound = _SOUNDS.get(letters[at : at + size])
        if sound is not None and at + size <= end:
            return size, sound
    return 1, _SOUNDS[letter]
