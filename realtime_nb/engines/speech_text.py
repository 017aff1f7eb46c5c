"""Prepare written text for a voice: no markup, plain punctuation, one sentence at a time."""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT_CHARACTERS = 4_096
MAX_SENTENCE_CHARACTERS = 240
"""Longer sentences are cut at a comma or a space, so that the first audio never waits for a whole paragraph."""

_SPOKEN = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "–": ", ",
        "—": ", ",
        "…": "... ",
        "&": " and ",
        "%": " percent",
        "€": " euros ",
        "£": " pounds ",
        "+": " plus ",
        "=": " equals ",
        "×": " times ",
        "@": " at ",
        "·": ", ",
        "•": " ",
        "*": "",
        "`": "",
        "#": " ",
        "|": " ",
        "_": " ",
        "~": " ",
        "<": " ",
        ">": " ",
        "\\": " ",
    }
)
_AMOUNT = re.compile(r"([€£])\s?(\d[\d.,]*\d|\d)")
_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_STRAY_SPACE = re.compile(r" (?=[,.;:!?](?:\s|$))")
_DEGREES = {"°C": " degrees Celsius", "°F": " degrees Fahrenheit", "°": " degrees"}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_URL = re.compile(r"https?://(?:www\.)?([^\s/]+)\S*")
_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')\]]))\s+|\n+""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|prof|st|vs|etc|no|approx|e\.g|i\.e|a\.m|p\.m)|\b[A-Z])\.\s*$", re.IGNORECASE
)
_CLAUSE = re.compile(r"[,;:]\s+")
_WORD = re.compile(r"\w")


def speakable(text: str) -> str:
    """Return the text without markup, emoji and control characters, with symbols as words; line breaks stay."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    text = _AMOUNT.sub(r"\2\1", _URL.sub(r"\1", _LINK.sub(r"\1", text)))
    for symbol, words in _DEGREES.items():
        text = text.replace(symbol, words)
    text = text.translate(_SPOKEN)
    kept = (char if char == "\n" or unicodedata.category(char)[0] in "LMNPZ" or char == "$" else " " for char in text)
    lines = (_STRAY_SPACE.sub("", " ".join(line.split())) for line in "".join(kept).split("\n"))
    return "\n".join(line for line in lines if line)


def sentences(text: str) -> list[str]:
    """Return the sentences that a voice speaks one by one, each at most 240 characters with something to say in it."""
    parts: list[str] = []
    for piece in _END.split(speakable(text)):
        if parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] = f"{parts[-1]} {piece}"
        elif piece.strip():
            parts.append(piece.strip())
    return [cut for part in parts for cut in _cut(part) if _WORD.search(cut)]


def _cut(sentence: str) -> list[str]:
    cuts: list[str] = []
    while len(sentence) > MAX_SENTENCE_CHARACTERS:
        window = sentence[:MAX_SENTENCE_CHARACTERS]
        clauses = [match.end() for match in _CLAUSE.finditer(window) if match.end() > MAX_SENTENCE_CHARACTERS // 4]
        end = clauses[-1] if clauses else window.rfind(" ")
        end = end if end > 0 else MAX_SENTENCE_CHARACTERS
        cuts.append(sentence[:end].strip())
        sentence = sentence[end:].strip()
    return [*cuts, sentence]
