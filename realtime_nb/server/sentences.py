"""Cuts a streamed answer into pieces that a voice can speak, the first one early."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|\n+(?=.)", re.DOTALL)
_PAUSE = re.compile(r"[,;:—–](?=\s)")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e|approx)|\b[A-Z])\.$")

FIRST_MIN_CHARS = 24
"""The first piece may end at a comma once it is so long."""
MAX_CHARS = 300
"""A piece without any stop is cut at a space."""


class SentenceSplitter:
    """Text in, speakable pieces out; together they are the text exactly, spaces included."""

    def __init__(self) -> None:
        self._rest = ""
        self._first = True

    def push(self, text: str) -> list[str]:
        """Add text; return the pieces that are complete."""
        self._rest += text
        pieces = []
        while (end := self._next_end()) is not None:
            pieces.append(self._rest[:end])
            self._rest = self._rest[end:]
            self._first = False
        return pieces

    def flush(self) -> str:
        """Return what is left, maybe empty."""
        rest, self._rest = self._rest, ""
        return rest

    def _next_end(self) -> int | None:
        ends = [end for end in (self._sentence_end(), self._early_pause()) if end is not None]
        if ends:
            return min(ends)
        if len(self._rest) > MAX_CHARS:
            space = self._rest.rfind(" ", 1, MAX_CHARS)
            return space if space > 0 else MAX_CHARS
        return None

    def _sentence_end(self) -> int | None:
        for match in _END.finditer(self._rest):
            if self._rest[: match.end()].strip() and not _ABBREVIATION.search(self._rest[: match.start() + 1]):
                return match.end()
        return None

    def _early_pause(self) -> int | None:
        if not self._first:
            return None
        for match in _PAUSE.finditer(self._rest):
            if len(self._rest[: match.end()].strip()) >= FIRST_MIN_CHARS:
                return match.end()
        return None
