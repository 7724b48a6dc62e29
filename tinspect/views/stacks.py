"""The stacks: true bounds, used now, ever used, and which stack the thread runs on."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.source import Source
from tinspect.views.bars import BAR_LEGEND
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.table import UNKNOWN, Align, Bar, Cell, Column, Role, Table
from tinspect.views.threads import NAME, RUNNING_ON_CELLS, TID, running_on

_COLUMNS = (
    TID,
    NAME,
    Column("low", "LOW", priority=2),
    Column("high", "HIGH", priority=5),
    Column("size", "SIZE", Align.RIGHT, unit="B"),
    Column("used", "USED", Align.RIGHT, unit="B"),
    Column("peak", "PEAK", Align.RIGHT, priority=1, unit="B"),
    Column("bar", "USE", priority=3, min_width=8, width=24),
    Column("on", "ON", priority=4),
    Column("source", "SOURCE", priority=6),
    Column("peak_source", "PEAK BY", priority=7),
)
GROUP_NOTE = "In a shared row, used and peak are those of the fullest stack."


def stacks_table(
    report: ProcessReport, options: ViewOptions = DEFAULT_VIEW, groups: Sequence[ThreadGroup] | None = None
) -> Table:
    """One row a stack, or a group of alike ones."""
    groups = thread_groups(report, options) if groups is None else groups
    rows = tuple(group.row(_cells(group)) for group in groups)
    notes = () if all(group.is_single for group in groups) else (GROUP_NOTE,)
    return Table("stacks", "Stacks", _COLUMNS, rows, "no threads", notes, BAR_LEGEND)


def _cells(group: ThreadGroup) -> tuple[Cell, ...]:
    entry = group.first
    return (
        group.tid_cell(),
        group.name_cell(),
        group.address_cell(lambda member: member.stack.range.low if member.stack else None),
        group.address_cell(lambda member: member.stack.range.high if member.stack else None),
        group.largest(lambda member: member.stack.range.size if member.stack else None),
        group.largest(lambda member: member.use.used if member.use else None),
        group.largest(lambda member: member.use.peak if member.use else None),
        bar_cell(group.members),
        RUNNING_ON_CELLS[running_on(entry)],
        source_cell(entry.stack.source if entry.stack else None),
        source_cell(entry.use.peak_source if entry.use else None),
    )


def bar_cell(members: tuple[ThreadReport, ...]) -> Cell:
    """Used and peak as shares of the stack; of several threads the fullest."""
    bars = [stack_bar(member) for member in members]
    used = max((bar.used for bar in bars if bar.used is not None), default=None)
    peak = max((bar.peak for bar in bars if bar.peak is not None), default=None)
    fullest = max(used or 0.0, peak or 0.0)
    words = "?" if used is None and peak is None else f"{fullest:.0%}"
    return Cell(words, sort=fullest, bar=Bar(used, peak))


def stack_bar(entry: ThreadReport) -> Bar:
    """Used and peak of one thread's stack as fractions of its size."""
    if entry.stack is None or entry.use is None or entry.stack.range.size == 0:
        return Bar(None, None)
    size = entry.stack.range.size
    return Bar(_share(entry.use.used, size), _share(entry.use.peak, size))


def _share(part: int | None, size: int) -> float | None:
    return None if part is None else min(max(part / size, 0.0), 1.0)


def source_cell(source: Source | None) -> Cell:
    """Where a fact was learnt; a guess looks like one."""
    if source is None or source is Source.UNKNOWN:
        return UNKNOWN
    return Cell(source.value.replace("_", " "), Role.GUESS if source is Source.INFERRED else Role.DIM)
