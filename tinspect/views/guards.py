"""The guards: where each lies, of what kind it is, and how far the thread is from it."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.stack import GuardKind, GuardRegion
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.stacks import source_cell
from tinspect.views.table import NOTHING, UNKNOWN, Align, Cell, Column, Role, Table
from tinspect.views.threads import NAME, TID, is_elsewhere
from tinspect.views.words import size_cell

PAGE = 4096

_COLUMNS = (
    TID,
    NAME,
    Column("kind", "KIND"),
    Column("low", "LOW", priority=2),
    Column("high", "HIGH", priority=3),
    Column("size", "SIZE", Align.RIGHT, priority=1, unit="B"),
    Column("distance", "SP ABOVE BY", Align.RIGHT, unit="B"),
    Column("verdict", "VERDICT"),
    Column("source", "SOURCE", priority=4),
)
_KINDS = {
    GuardKind.MPROTECT: Cell("mprotect"),
    GuardKind.MADVISE: Cell("madvise"),
    GuardKind.KERNEL_GAP: Cell("kernel gap"),
    GuardKind.NONE: Cell("none", Role.WARNING),
    GuardKind.UNKNOWN: UNKNOWN,
}


def guards_table(
    report: ProcessReport, options: ViewOptions = DEFAULT_VIEW, groups: Sequence[ThreadGroup] | None = None
) -> Table:
    """One row a thread, or a group of alike ones; a group shows the thread that is nearest to its guard."""
    groups = thread_groups(report, options) if groups is None else groups
    rows = tuple(group.row(_cells(group)) for group in groups)
    notes = () if all(group.is_single for group in groups) else ("A shared row shows the thread nearest to its guard.",)
    return Table("guards", "Guards", _COLUMNS, rows, "no threads", notes)


def _cells(group: ThreadGroup) -> tuple[Cell, ...]:
    nearest = min(group.members, key=_distance_or_far)
    guard = nearest.guard
    return (
        group.tid_cell(),
        group.name_cell(),
        _KINDS[guard.kind] if guard else UNKNOWN,
        *_edge_cells(group, guard),
        _size_cell(guard),
        _distance_cell(nearest),
        verdict_cell(nearest),
        source_cell(guard.source if guard else None),
    )


def _distance_or_far(entry: ThreadReport) -> int:
    return entry.guard.distance if entry.guard and entry.guard.distance is not None else 1 << 64


def _edge_cells(group: ThreadGroup, guard: GuardRegion | None) -> tuple[Cell, Cell]:
    if guard is not None and guard.kind is GuardKind.NONE:
        return NOTHING, NOTHING
    return (
        group.address_cell(lambda member: member.guard.range.low if member.guard and member.guard.range else None),
        group.address_cell(lambda member: member.guard.range.high if member.guard and member.guard.range else None),
    )


def _size_cell(guard: GuardRegion | None) -> Cell:
    if guard is not None and guard.kind is GuardKind.NONE:
        return NOTHING
    return size_cell(guard.range.size if guard and guard.range else None)


def _distance_cell(entry: ThreadReport) -> Cell:
    if entry.guard and entry.guard.kind is GuardKind.NONE:
        return NOTHING
    if is_elsewhere(entry) and (entry.guard is None or entry.guard.distance is None):
        return Cell("elsewhere", Role.DIM)
    return size_cell(entry.guard.distance if entry.guard else None)


def verdict_cell(entry: ThreadReport) -> Cell:
    """How a thread stands to its guard: inside it, within a page of it, clear of it, or without one."""
    guard = entry.guard
    if guard is None or guard.kind is GuardKind.UNKNOWN:
        return UNKNOWN
    if guard.kind is GuardKind.NONE:
        return Cell("no guard", Role.WARNING)
    if guard.distance is None:
        return NOTHING
    if guard.distance < 0:
        return Cell("in the guard", Role.ERROR)
    return Cell("within a page", Role.WARNING) if guard.distance < PAGE else Cell("clear", Role.GOOD)
