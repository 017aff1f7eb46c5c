"""Finds the words that a voice says in the text that it was given."""

from __future__ import annotations

_SEARCH_CHARS = 40


class WordFinder:
    """Follows a voice through one text.

    Voices speak a cleaned text ("25 €" becomes "twenty five euros"), so a word may not be found as it stands; then
    the next word of the text is taken, never more than there is.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._folded = text.casefold()
        self._at = 0

    def end_of(self, word: str) -> int:
        """Return how many characters of the text have been said when `word` has, its punctuation included."""
        wanted = word.strip(".,;:!?\"'()[]").casefold()
        found = self._folded.find(wanted, self._at, self._at + _SEARCH_CHARS + len(wanted)) if wanted else -1
        if found < 0 or len(self._folded) != len(self._text):
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
        else:
            self._at = found + len(wanted)
        while self._at < len(self._text) and not self._text[self._at].isspace():
            self._at += 1
        return self._at
