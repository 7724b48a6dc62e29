from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.views.bars import bar_spans
from tinspect.views.changes import mark_changes
from tinspect.views.layout import fit_columns, table_lines
from tinspect.views.span import plain_text
from tinspect.views.table import Align, Bar, Cell, Column, Role, Row, Table, without_empty_columns
from tinspect.views.width import cut, display_width, prefix, wrapped

COLUMNS = (
    Column("id", "ID", Align.RIGHT),
    Column("name", "NAME", priority=1, min_width=4),
    Column("address", "ADDRESS", priority=2),
    Column("text", "TEXT", min_width=10, wrap=True),
)


def table(*texts: tuple[str, str, str, str]) -> Table:
    rows = tuple(Row(f"row:{index}", tuple(Cell(text) for text in cells)) for index, cells in enumerate(texts))
    return Table("test", "Test: some", COLUMNS, rows)


def test_columns_of_low_priority_go_first_and_texts_shrink() -> None:
    example = table(("1", "a-long-name", "0x7f0000000000", "some words that are long"))
    assert fit_columns(example, 100).positions == (0, 1, 2, 3)
    assert fit_columns(example, 36).positions == (0, 1, 2, 3)
    assert fit_columns(example, 30).positions == (0, 1, 3)
    assert fit_columns(example, 15).positions == (0, 3)
    assert fit_columns(example, 1).positions == (0, 3)


def test_drawn_table() -> None:
    example = table(("1", "a-long-name", "0x7f0000000000", "some words that are long"), ("22", "b", "", "x"))
    assert plain_text(table_lines(example, 40)) == (
        "Test: some\n"
        "ID  NAME    ADDRESS         TEXT\n"
        " 1  a-lon…  0x7f0000000000  some words\n"
        "                            that are\n"
        "                            long\n"
        "22  b                       x\n"
    )


def test_an_empty_table_says_so() -> None:
    assert plain_text(table_lines(table(), 40)) == "Test: some\n  none\n"


@pytest.mark.parametrize(
    ("bar", "drawn"),
    [
        (Bar(0.5, 0.75), "█████▒▒▒··"),
        (Bar(0.0001, 0.0002), "█·········"),
        (Bar(0.9999, 0.9999), "█████████·"),
        (Bar(1.0, 1.0), "██████████"),
        (Bar(0.0, 0.0), "··········"),
        (Bar(None, 0.4), "▒▒▒▒······"),
        (Bar(0.5, None), "█████·····"),
        (Bar(None, None), "?         "),
    ],
)
def test_bars(bar: Bar, drawn: str) -> None:
    assert "".join(span.text for span in bar_spans(bar, 10)) == drawn


def test_a_nearly_full_bar_warns() -> None:
    assert {span.role for span in bar_spans(Bar(0.95, 0.95), 10)} == {Role.ERROR, Role.FREE}
    assert bar_spans(Bar(0.1, 0.95), 10)[0].role is Role.WARNING


@given(st.text(), st.integers(1, 30))
def test_cutting_and_wrapping_keep_the_measure(text: str, width: int) -> None:
    assert display_width(cut(text, width)) <= width
    assert display_width(prefix(text, width)) <= width
    lines = wrapped(text, max(width, 2))
    assert all(display_width(line) <= max(width, 2) for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_addresses_are_never_cut() -> None:
    text = "mutex 0x7f0012345678 held"
    assert cut(text, 24) == "mutex 0x7f0012345678 he…"
    assert cut(text, 21) == "mutex 0x7f0012345678…"
    for width in range(7, 21):
        assert cut(text, width) == "mutex …"
    assert cut("offset 10 of 20", 9) == "offset 1…"
    assert cut("worker-0xyz", 10) == "worker-0x…"


def test_room_is_shared_fairly() -> None:
    columns = tuple(Column(str(index), "", min_width=4, priority=index) for index in range(3))
    example = Table("test", "Test", columns, (Row("row", (Cell("x" * 40), Cell("y" * 6), Cell("z" * 40))),))
    assert fit_columns(example, 50).widths == (20, 6, 20)
    assert fit_columns(example, 200).widths == (40, 6, 40)


def test_width_of_wide_and_combining_characters() -> None:
    assert display_width("線程") == 4
    assert display_width("e\u0301") == 1
    assert cut("線程線程", 5) == "線程…"


def test_sorting_puts_numbers_in_order_and_the_unknown_last() -> None:
    rows = tuple(
        Row(str(index), (cell,))
        for index, cell in enumerate((Cell("10", sort=10), Cell("?", Role.DIM), Cell("9", sort=9), Cell("word")))
    )
    example = Table("test", "Test", (Column("n", "N"),), rows)
    assert [row.cells[0].text for row in example.sorted_by("n").rows] == ["9", "10", "word", "?"]
    assert example.sorted_by("nothing") is example


def test_changes_are_marked() -> None:
    before = table(("1", "a", "", "x"), ("2", "b", "", "y"))
    now = table(("1", "a", "", "x"), ("2", "c", "", "y"), ("3", "d", "", "z"))
    (marked,) = mark_changes((before,), (now,))
    assert [row.changed for row in marked.rows] == [frozenset(), {"name"}, frozenset()]
    assert [row.is_new for row in marked.rows] == [False, False, True]
    spans = [span for line in table_lines(marked, 60) for span in line if span.role is Role.CHANGED]
    assert [span.text for span in spans] == ["c", "3", "d", "z"]


def test_empty_columns_go_on_demand() -> None:
    example = without_empty_columns(table(("1", "", "", "x")), ("name", "text"))
    assert [column.key for column in example.columns] == ["id", "address", "text"]
