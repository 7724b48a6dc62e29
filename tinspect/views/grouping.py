"""Alike threads in one row: a thousand workers that wait at the same place on equal stacks are one line with "×996"."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tinspect.model.report import ProcessReport, Severity, ThreadReport
from tinspect.views.options import ViewOptions
from tinspect.views.table import NOTHING, Cell, Role, Row
from tinspect.views.words import address_cell, size_cell, tids_words

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ThreadGroup:
    """One thread, or several alike ones, in the report's order."""

    members: tuple[ThreadReport, ...]
    severity: Severity | None = None

    @property
    def first(self) -> ThreadReport:
        """The member that stands for all."""
        return self.members[0]

    @property
    def is_single(self) -> bool:
        """Whether it is one thread."""
        return len(self.members) == 1

    @property
    def tids(self) -> tuple[int, ...]:
        """The threads of the group."""
        return tuple(member.thread.tid for member in self.members)

    def row(self, cells: Iterable[Cell]) -> Row:
        """A row about this group. A group's key is its first thread's."""
        return Row(f"tid:{self.first.thread.tid}", tuple(cells), self.tids, self.severity)

    def tid_cell(self) -> Cell:
        """The thread id, or the ids of the group and their number."""
        return tids_cell(self.tids)

    def name_cell(self) -> Cell:
        """The name, or the common start of the names with a star."""
        return name_cell(self.members)

    def address_cell(self, get: Callable[[ThreadReport], int | None]) -> Cell:
        """The address all members agree on, or nothing."""
        values = {get(member) for member in self.members}
        return address_cell(values.pop()) if len(values) == 1 else NOTHING

    def largest(self, get: Callable[[ThreadReport], int | None]) -> Cell:
        """The largest of the members' sizes."""
        known = [value for member in self.members if (value := get(member)) is not None]
        return size_cell(max(known, default=None))


def tids_cell(tids: Sequence[int]) -> Cell:
    """The threads something is about: one, several with their number, or the process (nothing)."""
    words = tids_words(tids) if len(tids) <= 1 else f"{tids_words(tids)} ×{len(tids)}"
    return Cell(words, sort=tids[0] if tids else -1)


def name_cell(members: Sequence[ThreadReport]) -> Cell:
    """The name of one thread, or the common start of several names with a star."""
    names = {member.thread.name for member in members}
    if len(names) == 1:
        return Cell(names.pop(), Role.NAME)
    return Cell(f"{_common_start(names).rstrip('0123456789')}*", Role.NAME)


def _common_start(names: set[str]) -> str:
    first, last = min(names), max(names)
    length = next(
        (index for index, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first)
    )
    return first[:length]


def thread_groups(report: ProcessReport, options: ViewOptions) -> tuple[ThreadGroup, ...]:
    """The report's threads as rows. Threads a finding warns of, and the main thread, always stand alone."""
    severities = worst_severities(report)
    if not shares_rows(report, options):
        return tuple(ThreadGroup((entry,), severities.get(entry.thread.tid)) for entry in report.threads)

    def alike(entry: ThreadReport) -> Hashable:
        tid = entry.thread.tid
        alone = entry.thread.is_main or severities.get(tid, Severity.NOTE) is not Severity.NOTE
        return tid if alone else _likeness(entry)

    return tuple(
        ThreadGroup(tuple(members), severities.get(members[0].thread.tid)) for members in grouped(report.threads, alike)
    )


def _likeness(entry: ThreadReport) -> Hashable:
    signal_stack = entry.signal_stack
    return (
        entry.function,
        entry.start_routine,
        entry.thread.state,
        entry.thread.exactness,
        entry.waits_for.kind if entry.waits_for else None,
        entry.stack.range.size if entry.stack else None,
        entry.use.running_on if entry.use else None,
        (entry.guard.kind, entry.guard.range.size if entry.guard.range else None) if entry.guard else None,
        (signal_stack.state, signal_stack.range.size if signal_stack.range else None) if signal_stack else None,
        tuple(frame.pc for frame in entry.call_stack.frames) if entry.call_stack else None,
    )


def shares_rows(report: ProcessReport, options: ViewOptions) -> bool:
    """Whether there are so many threads that alike rows are shared."""
    return 0 < options.group_over < len(report.threads)


def one_address_cell(addresses: Iterable[int]) -> Cell:
    """The address when there is but one, else how many different ones there are."""
    different = set(addresses)
    return address_cell(different.pop()) if len(different) == 1 else Cell(f"{len(different):,} places", Role.DIM)


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """The items by equal key, in the order in which each key was first seen."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def worst_severities(report: ProcessReport) -> dict[int, Severity]:
    """The worst finding about each thread that has one."""
    worst: dict[int, Severity] = {}
    for finding in report.findings:
        if finding.tid is not None:
            known = worst.get(finding.tid, Severity.NOTE)
            worst[finding.tid] = min(known, finding.severity, key=_ORDER.index)
    return worst
