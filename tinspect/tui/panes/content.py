"""What stands in a pane, as values: entries, drawn only when they are on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tinspect.views.changes import mark_changes
from tinspect.views.layout import legend_line
from tinspect.views.map_text import MapLine, Uses
from tinspect.views.span import Line, Span
from tinspect.views.table import Role, Row, Table
from tinspect.views.width import wrapped


@dataclass(frozen=True, slots=True)
class Link:
    """Where Enter leads: a thread, and the frame of it that is meant."""

    tid: int
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A line of words."""

    line: Line


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """The titles of a table's columns."""

    table: Table


@dataclass(frozen=True, slots=True)
class RowEntry:
    """One row of a table: one line, or several where texts are broken. ``address`` is what is copied."""

    table: Table
    row: Row
    link: Link | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One line of the map."""

    line: MapLine
    uses: Uses
    link: Link | None = None

    @property
    def address(self) -> int:
        """The lowest address of the line."""
        return self.line.area.low


Entry: TypeAlias = TextEntry | HeaderEntry | RowEntry | MapEntry


@dataclass(frozen=True, slots=True)
class Content:
    """A pane's entries, and the tables they come from (what is exported)."""

    entries: tuple[Entry, ...] = ()
    tables: tuple[Table, ...] = ()

    def position(self, key: str | None) -> int | None:
        """The entry of the row ``key``, or None."""
        return next(
            (at for at, entry in enumerate(self.entries) if isinstance(entry, RowEntry) and entry.row.key == key), None
        )

    def key_at(self, position: int) -> str | None:
        """The key of the row at ``position``, or None."""
        if 0 <= position < len(self.entries):
            entry = self.entries[position]
            return entry.row.key if isinstance(entry, RowEntry) else None
        return None


EMPTY = Content()

Links: TypeAlias = Callable[[Table, Row], tuple[Link | None, int | None]]


def no_links(_: Table, row: Row) -> tuple[Link | None, int | None]:
    """Rows that lead nowhere; their first address is what is copied."""
    return None, first_address(row)


def thread_links(_: Table, row: Row) -> tuple[Link | None, int | None]:
    """Rows about threads lead to the first of them."""
    return (Link(row.tids[0]) if row.tids else None), first_address(row)


def first_address(row: Row) -> int | None:
    """The first address a row shows."""
    for cell in row.cells:
        if cell.role is Role.ADDRESS and isinstance(cell.sort, (int, float)):
            return int(cell.sort)
    return None


def table_content(tables: Iterable[Table], links: Links = no_links, earlier: Iterable[Table] | None = None) -> Content:
    """Tables one under the other; with those of an earlier moment, what changed is marked."""
    shown = tuple(tables)
    if earlier is not None:
        shown = mark_changes(tuple(earlier), shown)
    return Content(tuple(entry for table in shown for entry in _table_entries(table, links)), shown)


def _table_entries(table: Table, links: Links) -> Iterator[Entry]:
    yield TextEntry((Span(table.title, Role.TITLE),))
    if not table.rows:
        yield TextEntry((Span(f"  {table.empty}", Role.DIM),))
    else:
        yield HeaderEntry(table)
    for row in table.rows:
        link, address = links(table, row)
        yield RowEntry(table, row, link, address)
    for note in table.notes:
        for text in wrapped(note, 76):
            yield TextEntry((Span(f"  {text}", Role.DIM),))
    if table.legend and table.rows:
        yield TextEntry(legend_line(table))
    yield TextEntry(())


def joined(*contents: Content) -> Content:
    """Contents one under the other."""
    return Content(
        tuple(entry for content in contents for entry in content.entries),
        tuple(table for content in contents for table in content.tables),
    )


def text_content(*lines: Line) -> Content:
    """Words alone."""
    return Content(tuple(TextEntry(line) for line in lines))


def entry_text(entry: Entry) -> str:
    """The words of an entry, for searching."""
    if isinstance(entry, TextEntry):
        return "".join(span.text for span in entry.line)
    if isinstance(entry, RowEntry):
        return "\n".join(cell.text for cell in entry.row.cells)
    return ""
