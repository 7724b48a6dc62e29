"""The tree of thread scopes: owner, children, what each waits for, and the loans."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.scope import Loan, Scope
from tinspect.views.table import NOTHING, UNKNOWN, Align, Cell, Column, Role, Row, Table
from tinspect.views.threads import waits_cell
from tinspect.views.words import address_cell, count_words, size_cell

DEPTH_LIMIT = 24
"""Nesting that is drawn as indentation; what lies deeper stays at this depth."""

_COLUMNS = (
    Column("tree", "SCOPE", min_width=30),
    Column("state", "STATE"),
    Column("low", "LENT FROM", priority=1),
    Column("size", "SIZE", Align.RIGHT, priority=2, unit="B"),
    Column("detail", "DETAIL", priority=3, min_width=16),
)


def scopes_table(report: ProcessReport) -> Table:
    """Scopes as a tree, each with its loans, its threads, and the scopes within it."""
    threads = {entry.thread.tid: entry for entry in report.threads}
    rows = tuple(row for depth, scope in _in_tree_order(report.scopes) for row in _scope_rows(scope, depth, threads))
    return Table("scopes", f"Scopes: {len(report.scopes):,}", _COLUMNS, rows, "no scoped threads")


def _in_tree_order(scopes: tuple[Scope, ...]) -> Iterator[tuple[int, Scope]]:
    """Depth and scope, parents first. Parents that are unknown or go in a circle (a damaged registry) count as none."""
    known = {scope.id for scope in scopes}
    children: dict[int | None, list[Scope]] = {}
    for scope in scopes:
        children.setdefault(scope.parent if scope.parent in known else None, []).append(scope)
    seen: set[int] = set()
    for start in (*children.get(None, ()), *scopes):
        pending = [(0, start)]
        while pending:
            depth, scope = pending.pop()
            if scope.id in seen:
                continue
            seen.add(scope.id)
            yield depth, scope
            pending.extend((depth + 1, child) for child in reversed(children.get(scope.id, [])))


def _scope_rows(scope: Scope, depth: int, threads: dict[int, ThreadReport]) -> Iterator[Row]:
    indent = "   " * min(depth, DEPTH_LIMIT)
    tids = tuple(tid for tid in (scope.owner_tid, *scope.threads) if tid is not None)
    yield Row(f"scope:{scope.id}", (*_scope_cells(scope, indent, threads),), tids)
    for index, loan in enumerate(scope.borrows):
        branch = "├─ " if index + 1 < len(scope.borrows) or scope.threads else "└─ "
        borrower = () if loan.borrower_tid is None else (loan.borrower_tid,)
        yield Row(f"scope:{scope.id} loan:{index}", _loan_cells(loan, indent + branch), borrower)
    names = {tid: entry.thread.name for tid, entry in threads.items()} if scope.threads else {}
    for index, tid in enumerate(scope.threads):
        branch = "├─ " if index + 1 < len(scope.threads) else "└─ "
        yield Row(f"scope:{scope.id} tid:{tid}", _thread_cells(tid, indent + branch, threads.get(tid), names), (tid,))


def _scope_cells(scope: Scope, indent: str, threads: dict[int, ThreadReport]) -> tuple[Cell, ...]:
    name = f" “{scope.name}”" if scope.name else ""
    entry = threads.get(scope.owner_tid) if scope.owner_tid is not None else None
    owner_name = f" {entry.thread.name}" if entry else ""
    owner = f" of {scope.owner_tid}{owner_name}" if scope.owner_tid is not None else ", owner unknown"
    return (
        Cell(f"{indent}scope {scope.id}{name}{owner}", Role.NAME),
        _phase_cell(scope),
        NOTHING,
        NOTHING,
        Cell(f"{scope.running} running of {count_words(len(scope.threads), 'thread')}", Role.DIM),
    )


def _phase_cell(scope: Scope) -> Cell:
    if scope.orphaned:
        return Cell("orphaned by fork", Role.WARNING)
    if scope.panicked:
        return Cell("panicked", Role.ERROR)
    return Cell(f"{scope.phase}{', closed' if scope.closed else ''}")


def _loan_cells(loan: Loan, indent: str) -> tuple[Cell, ...]:
    borrower = "any thread of the scope" if loan.borrower_tid is None else f"thread {loan.borrower_tid}"
    lender = f"by {loan.lender_tid}" if loan.lender_tid is not None else ""
    frame = f"frame {loan.lender_frame:#x}" if loan.lender_frame is not None else ""
    return (
        Cell(f"{indent}loan to {borrower}"),
        Cell(loan.mode, Role.WARNING if loan.mode == "exclusive" else Role.GOOD),
        address_cell(loan.range.low),
        size_cell(loan.range.size),
        Cell(", ".join(part for part in (lender, frame) if part), Role.DIM),
    )


def _thread_cells(tid: int, indent: str, entry: ThreadReport | None, names: dict[int, str]) -> tuple[Cell, ...]:
    if entry is None:  # not among the threads that the report was asked for, or ended since the registry told of it
        return (Cell(f"{indent}{tid}"), UNKNOWN, NOTHING, NOTHING, NOTHING)
    name = entry.thread.name
    return (
        Cell(f"{indent}{tid} {name}"),
        Cell(entry.thread.state),
        NOTHING,
        NOTHING,
        waits_cell(entry.waits_for, names),
    )
