"""Tables in gdb: through gdb's own pager, in its own width, coloured when ``style enabled`` says so."""

from __future__ import annotations

import os
from collections.abc import Iterable

import gdb

from tinspect.views.layout import table_lines
from tinspect.views.span import Line
from tinspect.views.table import Role, Table

_WIDEST = 200
# Select Graphic Rendition (ECMA-48): the sixteen colours that every terminal theme sets to be readable.
_CODES = {
    Role.TITLE: "1",
    Role.HEADER: "2",
    Role.NAME: "1",
    Role.DIM: "2",
    Role.GUESS: "2;3",
    Role.GOOD: "32",
    Role.NOTE: "36",
    Role.WARNING: "33",
    Role.ERROR: "1;31",
    Role.USED: "36",
    Role.PEAK: "2;36",
    Role.FREE: "2",
    Role.CHANGED: "7",
}


def write_tables(tables: Iterable[Table]) -> None:
    """Prints the tables; gdb pages them, and Ctrl-C or "q" in its pager ends the command."""
    width, coloured = _width(), _coloured()
    unicode = _unicode()
    for number, table in enumerate(tables):
        if number:
            gdb.write("\n")
        for line in table_lines(table, width, unicode):
            gdb.write(_text(line, coloured) + "\n")


def _text(line: Line, coloured: bool) -> str:
    if not coloured:
        return "".join(span.text for span in line).rstrip()
    return "".join(f"\x1b[{_CODES[s.role]}m{s.text}\x1b[m" if s.role in _CODES else s.text for s in line)


def _width() -> int:
    width = gdb.parameter("width")
    return min(int(width), _WIDEST) if width else _WIDEST


def _coloured() -> bool:
    return bool(gdb.parameter("style enabled")) and os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"


def _unicode() -> bool:
    return "utf" in str(gdb.parameter("host-charset")).lower()
