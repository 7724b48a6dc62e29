"""What changed from one report to the next, for the faces that refresh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tinspect.views.table import Row, Table


def mark_changes(before: Iterable[Table], now: Iterable[Table]) -> tuple[Table, ...]:
    """The tables of ``now`` with changed cells and new rows marked. Tables are matched by name and the words of their title."""
    known = {_identity(table): table for table in before}
    return tuple(table if (old := known.get(_identity(table))) is None else _marked_table(old, table) for table in now)


def _identity(table: Table) -> tuple[str, str]:
    """A title without what follows its colon: that is a count."""
    return table.name, table.title.split(":")[0]


def _marked_table(old: Table, new: Table) -> Table:
    texts = {row.key: _texts(old, row) for row in old.rows}
    return replace(new, rows=tuple(_marked_row(new, row, texts.get(row.key)) for row in new.rows))


def _texts(table: Table, row: Row) -> dict[str, str]:
    return {column.key: cell.text for column, cell in zip(table.columns, row.cells, strict=True)}


def _marked_row(table: Table, row: Row, old: dict[str, str] | None) -> Row:
    if old is None:
        return replace(row, is_new=True)
    changed = frozenset(key for key, text in _texts(table, row).items() if old.get(key, text) != text)
    return replace(row, changed=changed) if changed else row
