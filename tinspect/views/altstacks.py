"""The alternate signal stacks (sigaltstack(2)) of all threads, and how each was learnt."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.model.report import ProcessReport
from tinspect.model.stack import SignalStack, SignalStackState
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.stacks import source_cell
from tinspect.views.table import NOTHING, UNKNOWN, Align, Cell, Column, Role, Table
from tinspect.views.threads import NAME, TID

_COLUMNS = (
    TID,
    NAME,
    Column("state", "STATE"),
    Column("low", "LOW", priority=1),
    Column("high", "HIGH", priority=2),
    Column("size", "SIZE", Align.RIGHT, unit="B"),
    Column("flags", "FLAGS", priority=4, min_width=8),
    Column("source", "SOURCE", priority=3),
)
_STATES = {
    SignalStackState.ENABLED: Cell("enabled", Role.GOOD),
    SignalStackState.ONSTACK: Cell("running on it", Role.NOTE),
    SignalStackState.DISABLED: Cell("none", Role.DIM),
    SignalStackState.UNKNOWN: UNKNOWN,
}


def altstacks_table(
    report: ProcessReport, options: ViewOptions = DEFAULT_VIEW, groups: Sequence[ThreadGroup] | None = None
) -> Table:
    """One row a thread, or a group of alike ones."""
    groups = thread_groups(report, options) if groups is None else groups
    rows = tuple(group.row(_cells(group)) for group in groups)
    return Table("altstacks", "Alternate signal stacks", _COLUMNS, rows, "no threads")


def _cells(group: ThreadGroup) -> tuple[Cell, ...]:
    stack = group.first.signal_stack
    start = (group.tid_cell(), group.name_cell(), _STATES[stack.state] if stack else UNKNOWN)
    if stack is None or stack.state is SignalStackState.DISABLED or stack.range is None:
        return (*start, NOTHING, NOTHING, NOTHING, _flags_cell(stack), source_cell(stack.source if stack else None))
    return (
        *start,
        group.address_cell(lambda member: _edge(member.signal_stack, "low")),
        group.address_cell(lambda member: _edge(member.signal_stack, "high")),
        group.largest(lambda member: _edge(member.signal_stack, "size")),
        _flags_cell(stack),
        source_cell(stack.source),
    )


def _edge(stack: SignalStack | None, name: str) -> int | None:
    return None if stack is None or stack.range is None else int(getattr(stack.range, name))


def _flags_cell(stack: SignalStack | None) -> Cell:
    return Cell(" ".join(flag for flag in stack.flags), Role.DIM) if stack and stack.flags else NOTHING
