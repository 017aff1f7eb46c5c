"""A small table that shows itself in a cell and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any


class Table(Sequence[Mapping[str, Any]]):
    """Rows of the same columns; each row is a mapping.

    Args:
        columns: their names, in order.
        rows: one value per column and row; None shows as an empty cell.
        title: above it.
        note: below it.
    """

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", note: str = ""
    ) -> None:
        self.columns = tuple(columns)
        self.title = title
        self.note = note
        self._rows = [dict(zip(self.columns, row, strict=True)) for row in rows]

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)

    def text(self) -> str:
        """Return the table as aligned lines."""
        cells = [list(self.columns), *([_shown(row[name]) for name in self.columns] for row in self._rows)]
        numeric = [self._numeric(name) for name in self.columns]
        widths = [max(len(row[index]) for row in cells) for index in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join(part for part in (self.title, *lines, self.note) if part)

    def html(self) -> str:
        """Return the table as HTML, with no style of its own beyond the notebook's."""
        side = {name: "right" if self._numeric(name) else "left" for name in self.columns}
        head = "".join(f'<th style="text-align:{side[name]}">{escape(name)}</th>' for name in self.columns)
        rows = (
            "".join(f'<td style="text-align:{side[name]}">{escape(_shown(row[name]))}</td>' for name in self.columns)
            for row in self._rows
        )
        body = "".join(f"<tr>{cells}</tr>" for cells in rows)
        title = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        note = f'<p style="font-size:12px;opacity:.8">{escape(self.note)}</p>' if self.note else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"

    def _numeric(self, name: str) -> bool:
        return all(_is_number(row[name]) for row in self._rows)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
