"""A transcript as increments that need not be taken back."""

from __future__ import annotations

UNSTABLE_WORDS = 1
"""The last word of a partial transcript may still change; it is not sent."""


class SettledText:
    """Turns a recogniser's partial texts into increments of what two partials in a row agree on.

    Attributes:
        text: everything returned so far.
    """

    def __init__(self) -> None:
        self.text = ""
        self._partial: list[str] = []

    def partial(self, text: str) -> str:
        """Return what the whole text so far adds, maybe ""."""
        words = text.split()
        agreed = 0
        for before, now in zip(self._partial, words, strict=False):
            if before != now:
                break
            agreed += 1
        self._partial = words
        return self.settle(" ".join(words[: min(agreed, len(words) - UNSTABLE_WORDS)]))

    def settle(self, text: str) -> str:
        """Return what a text that stands adds; "" when it does not go on what was returned."""
        if len(text) <= len(self.text) or not text.startswith(self.text):
            return ""
        increment = text[len(self.text) :]
        self.text = text
        return increment
