"""Tables as plain values: what a view gives, and what every face (command line, full screen, gdb, HTML) draws in its own way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from tinspect.model.report import Severity
from tinspect.model.text import printable


class Align(StrEnum):
    """Which side of its column a text stands at."""

    LEFT = "left"
    RIGHT = "right"


class Role(StrEnum):
    """What a piece of text is; each face decides how that looks."""

    PLAIN = "plain"
    TITLE = "title"
    HEADER = "header"
    ADDRESS = "address"
    SIZE = "size"
    NAME = "name"
    CODE = "code"
    DIM = "dim"
    GUESS = "guess"
    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    USED = "used"
    PEAK = "peak"
    FREE = "free"
    CHANGED = "changed"


SEVERITY_ROLES = {Severity.ERROR: Role.ERROR, Severity.WARNING: Role.WARNING, Severity.NOTE: Role.NOTE}


@dataclass(frozen=True, slots=True)
class Bar:
    """How full something is, as fractions of the whole from 0 to 1. None is unknown.

    ``guarded`` tells whether a guard lies at its far end, and draws it; None draws nothing there.
    """

    used: float | None
    peak: float | None = None
    guarded: bool | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. ``sort`` orders rows by this column (None: by text); a cell with a ``bar`` is drawn, its text is for those who can't.

    Whatever text it is given, it holds it made inert: names from the target reach no face in another way.
    """

    text: str
    role: Role = Role.PLAIN
    sort: float | str | None = None
    bar: Bar | None = None

    def __post_init__(self) -> None:
        if not self.text.isprintable():
            object.__setattr__(self, "text", printable(self.text))


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Columns of the highest ``priority`` number are dropped first where room is short; 0 stays always.

    ``min_width`` None means the text is never shortened (addresses, numbers); else it may be cut down to that many character
    cells, or broken into lines when ``wrap``. ``unit`` says what the numbers count. ``width`` is the wish of a bar column.
    """

    key: str
    title: str
    align: Align = Align.LEFT
    priority: int = 0
    min_width: int | None = None
    unit: str = ""
    wrap: bool = False
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``key`` stays the same for the same thing from one report to the next; ``tids`` are the threads it speaks of.

    ``changed`` holds the keys of the columns that differ from the report before; ``is_new`` marks a row that was not there.
    """

    key: str
    cells: tuple[Cell, ...]
    tids: tuple[int, ...] = ()
    severity: Severity | None = None
    changed: frozenset[str] = frozenset()
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One explained sign: the sample as it is drawn, and its meaning."""

    sample: str
    role: Role
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """One titled table, inert like its cells. ``empty`` is said in place of rows when there are none; ``notes`` stand below the rows."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: str = "none"
    notes: tuple[str, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    tell_dropped: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable(self.title))
        object.__setattr__(self, "notes", tuple(printable(note) for note in self.notes))

    def column(self, key: str) -> int | None:
        """The position of the column ``key``, or None."""
        return next((index for index, column in enumerate(self.columns) if column.key == key), None)

    def sorted_by(self, key: str, descending: bool = False) -> Table:
        """The same table with its rows in the order of the column ``key``; unchanged when there is no such column."""
        index = self.column(key)
        if index is None:
            return self
        rows = sorted(self.rows, key=lambda row: sort_key(row.cells[index]), reverse=descending)
        return replace(self, rows=tuple(rows))


def sort_key(cell: Cell) -> tuple[int, float, str]:
    """A total order of the cells of one column: numbers first, then words, then what is unknown."""
    if isinstance(cell.sort, (int, float)):
        return (0, cell.sort, "")
    if cell.role is Role.DIM and cell.text in {"?", ""}:
        return (2, 0, "")
    return (1, 0, cell.sort if isinstance(cell.sort, str) else cell.text)


def without_empty_columns(table: Table, keys: Iterable[str]) -> Table:
    """The table without those of the columns ``keys`` in which no row says anything."""
    droppable = frozenset(keys)
    kept = [
        index
        for index, column in enumerate(table.columns)
        if column.key not in droppable or any(row.cells[index].text not in {"", "?"} for row in table.rows)
    ]
    rows = tuple(replace(row, cells=tuple(row.cells[index] for index in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[index] for index in kept), rows=rows)


def text_cell(text: str | None, role: Role = Role.PLAIN) -> Cell:
    """A cell with text; None is unknown."""
    return Cell(text, role) if text is not None else UNKNOWN


UNKNOWN = Cell("?", Role.DIM)
"""What could not be learnt."""

NOTHING = Cell("", Role.DIM)
"""What does not apply."""
