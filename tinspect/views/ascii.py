"""Tables for terminals and logs that know nothing but ASCII."""

from __future__ import annotations

from dataclasses import replace

from tinspect.views.span import Line
from tinspect.views.table import LegendEntry, Row, Table

_SIGNS = str.maketrans(
    {
        "…": "~",
        "–": "-",
        "×": "x",
        "█": "#",
        "▒": "+",
        "▌": "|",
        "·": ".",
        "├": "|",
        "└": "`",
        "─": "-",
        "│": "|",
        "→": ">",
        "µ": "u",
    }
    | {"“": '"', "”": '"', "−": "-", "‹": "<", "›": ">", "●": "*"}
    | dict(zip("▁▂▃▄▅▆▇", "_..--==", strict=True))
)


def ascii_text(text: str) -> str:
    """The text with our own signs replaced by likenesses, and all else that is not ASCII escaped."""
    return text if text.isascii() else text.translate(_SIGNS).encode("ascii", "backslashreplace").decode("ascii")


def ascii_line(line: Line) -> Line:
    """A line of spans in ASCII."""
    return tuple(replace(span, text=ascii_text(span.text)) for span in line)


def ascii_table(table: Table) -> Table:
    """The table in ASCII; bars are left to who draws them."""
    return replace(
        table,
        title=ascii_text(table.title),
        rows=tuple(_ascii_row(row) for row in table.rows),
        notes=tuple(ascii_text(note) for note in table.notes),
        legend=tuple(LegendEntry(ascii_text(entry.sample), entry.role, entry.words) for entry in table.legend),
    )


def _ascii_row(row: Row) -> Row:
    cells = tuple(cell if cell.text.isascii() else replace(cell, text=ascii_text(cell.text)) for cell in row.cells)
    return replace(row, cells=cells)
