"""A table laid out for a width: which columns are shown, how wide each is, and the lines of text with their roles.

Every face that shows fixed-width text draws these lines; only colours differ. Addresses and numbers are never cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tinspect.views.ascii import ascii_table
from tinspect.views.bars import bar_spans
from tinspect.views.span import Line, Span
from tinspect.views.table import Align, Cell, Column, Role, Row, Table
from tinspect.views.width import cut, display_width, wrapped

GAP = 2
"""Blanks between columns."""

EXTRA = 5
"""From this priority number on a column is shown only where no other has to be cut for it,"""

COMFORT = 44
"""as far as a text of this many cells goes."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The columns that are shown, by position in the table, and the width of each in cells."""

    positions: tuple[int, ...]
    widths: tuple[int, ...]
    dropped: int = 0


_Cells: TypeAlias = tuple[Line, ...]


def fit_columns(table: Table, width: int) -> Fitted:
    """The columns of ``table`` for a line of ``width`` cells: low priorities go first, then texts share what room is left."""
    natural = [_natural_width(table, index) for index in range(len(table.columns))]
    smallest = [_smallest_width(column, natural[index]) for index, column in enumerate(table.columns)]
    positions = _without_extras(table, natural, width)
    while sum(smallest[index] for index in positions) + GAP * (len(positions) - 1) > width:
        droppable = [index for index in positions if table.columns[index].priority > 0]
        if not droppable:
            break
        positions.remove(max(droppable, key=lambda index: (table.columns[index].priority, index)))
    room = width - sum(smallest[index] for index in positions) - GAP * (len(positions) - 1)
    widths = {index: smallest[index] for index in positions}
    # Fair shares: who needs little gets it all, the rest divide what is left.
    wanting = sorted(positions, key=lambda index: natural[index] - smallest[index])
    for place, index in enumerate(wanting):
        extra = min(max(room, 0) // (len(wanting) - place), natural[index] - smallest[index])
        widths[index] += extra
        room -= extra
    shown = tuple(positions)
    return Fitted(shown, tuple(widths[index] for index in shown), len(table.columns) - len(shown))


def _without_extras(table: Table, natural: list[int], width: int) -> list[int]:
    """The columns but for those extras that could be shown only by cutting the texts of others."""
    positions = list(range(len(table.columns)))
    while sum(min(natural[index], COMFORT) + GAP for index in positions) - GAP > width:
        extras = [index for index in positions if table.columns[index].priority >= EXTRA]
        if not extras:
            break
        positions.remove(max(extras, key=lambda index: (table.columns[index].priority, index)))
    return positions


def _natural_width(table: Table, index: int) -> int:
    column = table.columns[index]
    cells = (display_width(row.cells[index].text) for row in table.rows if row.cells[index].bar is None)
    return max(display_width(column.title), column.width or 0, *cells, 1)


def _smallest_width(column: Column, natural: int) -> int:
    return natural if column.min_width is None else min(natural, max(column.min_width, display_width(column.title)))


def table_lines(table: Table, width: int, unicode: bool = True) -> Iterator[Line]:
    """The whole table for a line of ``width`` cells: title, header, rows, notes, legend. ``unicode`` False keeps to ASCII."""
    table = table if unicode else ascii_table(table)
    yield title_line(table)
    if not table.rows:
        yield (Span(f"  {table.empty}", Role.DIM),)
    else:
        fitted = fit_columns(table, width)
        yield header_line(table, fitted)
        for row in table.rows:
            yield from row_lines(table, fitted, row, unicode)
        if table.tell_dropped and fitted.dropped:
            yield (Span(f"  {fitted.dropped} more columns do not fit into this width.", Role.DIM),)
    for note in table.notes:
        for text in wrapped(note, max(width - 2, 20)):
            yield (Span(f"  {text}", Role.DIM),)
    if table.legend and table.rows:
        yield legend_line(table)


def title_line(table: Table) -> Line:
    """The table's title."""
    return (Span(table.title, Role.TITLE),)


def header_line(table: Table, fitted: Fitted) -> Line:
    """The titles of the shown columns."""
    columns = [table.columns[index] for index in fitted.positions]
    cells = tuple((Span(column.title, Role.HEADER),) for column in columns)
    return _joined(columns, fitted, cells)


def row_lines(table: Table, fitted: Fitted, row: Row, unicode: bool = True) -> Iterator[Line]:
    """One row: one line, or several where a column wraps."""
    columns = [table.columns[index] for index in fitted.positions]
    parts = [
        _cell_lines(column, row.cells[index], width, unicode, _role(row, column, row.cells[index]))
        for column, index, width in zip(columns, fitted.positions, fitted.widths, strict=True)
    ]
    for number in range(max((len(part) for part in parts), default=0)):
        yield _joined(columns, fitted, tuple(part[number] if number < len(part) else () for part in parts))


def _role(row: Row, column: Column, cell: Cell) -> Role:
    return Role.CHANGED if row.is_new or column.key in row.changed else cell.role


def _cell_lines(column: Column, cell: Cell, width: int, unicode: bool, role: Role) -> _Cells:
    if cell.bar is not None:
        return (bar_spans(cell.bar, width, unicode),)
    if column.wrap:
        return tuple((Span(line, role),) for line in wrapped(cell.text, width))
    text = cell.text
    if column.min_width is not None:
        text = cut(text, width, "…" if unicode else "~")
    return ((Span(text, role),),)


def _joined(columns: list[Column], fitted: Fitted, cells: _Cells) -> Line:
    spans: list[Span] = []
    pending = 0
    for column, width, cell in zip(columns, fitted.widths, cells, strict=True):
        blank = max(width - sum(display_width(span.text) for span in cell), 0)
        before, after = (blank, 0) if column.align is Align.RIGHT else (0, blank)
        if any(span.text for span in cell):
            spans.extend([Span(" " * (pending + before))] if pending + before else [])
            spans.extend(cell)
            pending = after + GAP
        else:
            pending += width + GAP
    return tuple(spans)


def legend_line(table: Table) -> Line:
    """What the signs mean."""
    spans: list[Span] = [Span(" ")]
    for entry in table.legend:
        spans += [Span(" "), Span(entry.sample, entry.role), Span(f" {entry.words} ", Role.DIM)]
    return tuple(spans)
