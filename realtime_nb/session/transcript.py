"""The running transcript of both sides: one line an item, in the order things were said."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["user", "assistant", "system", "tool"]


class TranscriptLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. A newer line of the same `item_id` replaces the older; `order` sorts.

    Attributes:
        final: no more text will come.
        heard_characters: after an interruption, how many characters of `text` the server still knows.
        status: "", "cancelled", "failed", "incomplete".
    """

    item_id: str
    order: int
    role: Role
    text: str
    final: bool
    heard_characters: int | None = None
    status: str = ""


class TranscriptBook:
    """Lines by item.

    A user's line is opened when speech starts, so a late transcript still stands before its answer.
    """

    def __init__(self) -> None:
        self._lines: dict[str, TranscriptLine] = {}

    @property
    def lines(self) -> list[TranscriptLine]:
        """All lines in order."""
        return sorted(self._lines.values(), key=lambda line: line.order)

    def get(self, item_id: str) -> TranscriptLine | None:
        """Return the line of an item, None when there is none."""
        return self._lines.get(item_id)

    def write(
        self,
        item_id: str,
        role: Role,
        *,
        text: str | None = None,
        append: str = "",
        final: bool | None = None,
        heard_characters: int | None = None,
        status: str | None = None,
    ) -> TranscriptLine:
        """Open or change a line and return it. `text` replaces the words, `append` adds to them."""
        old = self._lines.get(item_id)
        if old is None:
            old = TranscriptLine(item_id=item_id, order=len(self._lines), role=role, text="", final=False)
        line = msgspec.structs.replace(
            old,
            text=(old.text if text is None else text) + append,
            final=old.final if final is None else final,
            heard_characters=old.heard_characters if heard_characters is None else heard_characters,
            status=old.status if status is None else status,
        )
        self._lines[item_id] = line
        return line
