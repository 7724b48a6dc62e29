"""Who waits for what, and the locks that the runtime's registry knows."""

from __future__ import annotations

from typing import TypeAlias

from tinspect.model.lock import Lock, Waiter, WaitKind
from tinspect.model.report import ProcessReport
from tinspect.views.grouping import grouped, one_address_cell
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.stacks import source_cell
from tinspect.views.table import NOTHING, UNKNOWN, Align, Cell, Column, Role, Row, Table
from tinspect.views.words import address_cell, tid_list_words, tids_words

_Waits: TypeAlias = list[tuple[int, Waiter]]
_LOCK_WAITS = (WaitKind.MUTEX, WaitKind.CONDVAR, WaitKind.JOIN, WaitKind.FUTEX)

_WAIT_COLUMNS = (
    Column("address", "ADDRESS"),
    Column("kind", "KIND"),
    Column("owner", "HELD BY", min_width=10),
    Column("count", "WAITING", Align.RIGHT),
    Column("waiters", "THREADS", priority=1, min_width=12),
    Column("source", "SOURCE", priority=3),
)
_LOCK_COLUMNS = (
    Column("address", "ADDRESS"),
    Column("kind", "KIND"),
    Column("name", "NAME", priority=1, min_width=8),
    Column("owner", "HELD BY", min_width=10),
    Column("waiters", "WAITING", priority=2, min_width=10),
    Column("state", "STATE"),
    Column("source", "SOURCE", priority=3),
)


LONE_WAITS = 8
"""From more waits than this on, threads that wait alone share a row."""


def locks_tables(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The waits always; the registry's locks when there are any."""
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    waits = waits_table(report, names, options)
    return (waits, registry_table(report, names)) if report.locks else (waits,)


def waits_table(report: ProcessReport, names: dict[int, str], options: ViewOptions = DEFAULT_VIEW) -> Table:
    """The futexes, locks and threads that are waited for, most waited for first. Of many, those of one thread each share a row."""
    waits = [
        (entry.thread.tid, entry.waits_for)
        for entry in report.threads
        if entry.waits_for is not None and entry.waits_for.kind in _LOCK_WAITS
    ]
    groups = grouped(waits, lambda wait: (wait[1].kind, wait[1].address, wait[1].owner_tid))
    if options.group_over and len(groups) > LONE_WAITS:
        groups = grouped_again(groups)
    groups.sort(key=len, reverse=True)
    rows = tuple(_wait_row(group, names) for group in groups)
    return Table("locks", "What is waited for", _WAIT_COLUMNS, rows, "no thread waits for a lock, a futex or a thread")


def grouped_again(groups: list[_Waits]) -> list[_Waits]:
    """The waits of one thread each, for nobody's lock, together by kind."""

    def alike(group: _Waits) -> tuple[object, ...]:
        waiter = group[0][1]
        return (waiter.kind,) if len(group) == 1 and waiter.owner_tid is None else (waiter.kind, waiter.address)

    return [[wait for group in alike_groups for wait in group] for alike_groups in grouped(groups, alike)]


def _wait_row(group: _Waits, names: dict[int, str]) -> Row:
    waiter = group[0][1]
    tids = tuple(tid for tid, _ in group)
    cells = (
        UNKNOWN if waiter.address is None else one_address_cell(wait.address or 0 for _, wait in group),
        Cell(waiter.kind.value),
        owner_cell(waiter.owner_tid, names),
        Cell(str(len(tids)), sort=len(tids)),
        Cell(f"{tids[0]} {names.get(tids[0], '')}".rstrip() if len(tids) == 1 else _many(tids)),
        source_cell(waiter.source),
    )
    return Row(f"wait:{waiter.kind.value}:{waiter.address}:{waiter.owner_tid}", cells, tids)


def _many(tids: tuple[int, ...]) -> str:
    return tid_list_words(tids) if len(tids) <= 6 else tids_words(tids)


def owner_cell(owner: int | None, names: dict[int, str]) -> Cell:
    """Who holds a lock."""
    return NOTHING if owner is None else Cell(f"{owner} {names.get(owner, '')}".rstrip(), Role.NAME, sort=owner)


def registry_table(report: ProcessReport, names: dict[int, str]) -> Table:
    """The locks of the scoped-thread runtime."""
    rows = tuple(Row(f"lock:{lock.address:x}", _lock_cells(lock, names), lock.waiters) for lock in report.locks)
    return Table("locks", f"Locks of the runtime: {len(rows):,}", _LOCK_COLUMNS, rows)


def _holder_cell(lock: Lock, names: dict[int, str]) -> Cell:
    if lock.owner_tid is not None or lock.held is None:
        return owner_cell(lock.owner_tid, names)
    return UNKNOWN if lock.held else Cell("free", Role.DIM)


def _lock_cells(lock: Lock, names: dict[int, str]) -> tuple[Cell, ...]:
    return (
        address_cell(lock.address),
        Cell(lock.kind),
        Cell(lock.name, Role.NAME),
        _holder_cell(lock, names),
        Cell(tid_list_words(lock.waiters), sort=len(lock.waiters)) if lock.waiters else NOTHING,
        Cell("poisoned", Role.ERROR) if lock.poisoned else NOTHING,
        source_cell(lock.source),
    )
