"""Two moments of one process side by side: threads that came, went, or use another amount of stack."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.views.table import NOTHING, Align, Cell, Column, Role, Row, Table
from tinspect.views.threads import NAME, TID, place_cell
from tinspect.views.words import size_cell, size_words

_COLUMNS = (
    TID,
    NAME,
    Column("what", "WHAT"),
    Column("then", "USED THEN", Align.RIGHT, unit="B"),
    Column("now", "NOW", Align.RIGHT, unit="B"),
    Column("more", "MORE", Align.RIGHT, unit="B"),
    Column("was", "WAS AT", priority=2, min_width=10),
    Column("at", "IS AT", priority=1, min_width=10),
)


def compare_table(then: ProcessReport, now: ProcessReport) -> Table:
    """One row a thread that differs; the greatest growth first."""
    old = {entry.thread.tid: entry for entry in then.threads}
    new = {entry.thread.tid: entry for entry in now.threads}
    rows = tuple(_rows(old, new))
    table = Table("compare", f"Then and now: {len(rows):,} of {len(old | new):,} threads differ", _COLUMNS, rows)
    return table.sorted_by("more", descending=True)


def _rows(old: dict[int, ThreadReport], new: dict[int, ThreadReport]) -> Iterator[Row]:
    for tid, entry in (old | new).items():
        before, after = old.get(tid), new.get(tid)
        if before and after and _used(before) == _used(after) and place_cell(before) == place_cell(after):
            continue
        what = Cell("moved") if before and after else Cell("new", Role.GOOD) if after else Cell("ended", Role.WARNING)
        cells = (
            Cell(str(tid), sort=tid),
            Cell(entry.thread.name, Role.NAME),
            what,
            size_cell(_used(before)) if before else NOTHING,
            size_cell(_used(after)) if after else NOTHING,
            _more(_used(before) if before else 0, _used(after) if after else 0),
            place_cell(before) if before else NOTHING,
            place_cell(after) if after else NOTHING,
        )
        yield Row(f"tid:{tid}", cells, (tid,))


def _used(entry: ThreadReport) -> int | None:
    return entry.use.used if entry.use else None


def _more(before: int | None, after: int | None) -> Cell:
    if before is None or after is None:
        return NOTHING
    more = after - before
    return Cell(f"{'+' if more > 0 else '−' if more else ''}{size_words(abs(more))}", sort=more)
