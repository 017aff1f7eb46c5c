from __future__ import annotations

from realtime_nb.studies.table import Table


def table() -> Table:
    rows = [("chain", 3, 1234.5, None), ("<i>", 12, 7.0, "why")]
    return Table(("name", "n", "ms", "note"), rows, title="a title", note="a note")


def test_text_is_aligned_and_numbers_are_to_the_right() -> None:
    assert table().text().splitlines() == [
        "a title",
        "name    n     ms  note",
        "chain   3  1,234",
        "<i>    12      7  why",
        "a note",
    ]


def test_html_is_escaped() -> None:
    html = table().html()
    assert "&lt;i&gt;" in html
    assert "<i>" not in html
    assert "a title" in html
    assert html == table()._repr_html_()
    assert '<td style="text-align:right">1,234</td>' in html
    assert '<td style="text-align:left">chain</td>' in html


def test_rows_are_mappings() -> None:
    assert table()[1]["n"] == 12
    assert len(table()) == 2
    assert [row["name"] for row in table()] == ["chain", "<i>"]


def test_no_rows_are_a_table_too() -> None:
    assert Table(("a", "b"), []).text() == "a  b"
