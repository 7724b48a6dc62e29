"""The panes about the selected thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinspect.model.crash import Instruction
from tinspect.model.reference import PlaceKind, StackReference
from tinspect.model.report import ThreadReport
from tinspect.model.scope import Scope
from tinspect.tui.columns import sparkline
from tinspect.tui.moment import EACH, HISTORY, Moment, sub_report
from tinspect.tui.panes.content import (
    Content,
    Link,
    TextEntry,
    joined,
    no_links,
    table_content,
    text_content,
    thread_links,
)
from tinspect.tui.panes.kinds import Pane
from tinspect.views.altstacks import altstacks_table
from tinspect.views.crash import instructions_table
from tinspect.views.findings import findings_table
from tinspect.views.frames import frames_table
from tinspect.views.guards import guards_table
from tinspect.views.refs import list_table, reference_groups
from tinspect.views.registers import registers_table
from tinspect.views.scopes import scopes_table
from tinspect.views.span import Line, Span
from tinspect.views.stacks import stacks_table
from tinspect.views.table import Cell, Column, Role, Row, Table
from tinspect.views.tls import blocks_table, destructors_table, values_table, variables_table
from tinspect.views.words import size_words


@dataclass(frozen=True, slots=True)
class Subject:
    """A thread at a moment, and the same thread at the earlier one that changes are told against (or None).

    ``code`` is the disassembly at its pc, None until it was read.
    """

    moment: Moment
    entry: ThreadReport
    earlier: Moment | None = None
    code: tuple[Instruction, ...] | None = None

    @property
    def tid(self) -> int:
        """The thread."""
        return self.entry.thread.tid

    @property
    def before(self) -> Subject | None:
        """The thread as it was, or None when it was not yet there."""
        old = self.earlier.threads.get(self.tid) if self.earlier else None
        return Subject(self.earlier, old) if self.earlier and old else None


def thread_content(pane: Pane, subject: Subject) -> Content:
    """What stands in a pane about a thread."""
    return _MAKERS[pane](subject)


def _compared(
    subject: Subject, make: Callable[[Subject], Sequence[Table]]
) -> tuple[Sequence[Table], Sequence[Table] | None]:
    before = subject.before
    return make(subject), make(before) if before else None


def _frames(subject: Subject) -> Content:
    def tables(subject: Subject) -> Sequence[Table]:
        call_stack = subject.entry.call_stack
        return [frames_table(call_stack)] if call_stack else []

    now, before = _compared(subject, tables)
    if not now:
        return text_content((Span("No call stack: its registers are not known.", Role.DIM),))
    return table_content(now, no_links, before)


def _registers(subject: Subject) -> Content:
    now, before = _compared(
        subject, lambda subject: [registers_table(subject.moment.report, subject.entry, subject.moment.places)]
    )

    def links(_: Table, row: Row) -> tuple[Link | None, int | None]:
        value = row.cells[1].sort
        address = int(value) if isinstance(value, (int, float)) else None
        return (link_to(subject.moment, address, subject.tid) if address is not None else None), address

    return table_content(now, links, before)


def _code(subject: Subject) -> Content:
    if subject.entry.thread.registers is None:
        return text_content((Span("No code: its registers are not known.", Role.DIM),))
    if subject.code is None:
        return text_content((Span("Reading the code …", Role.DIM),))
    return table_content([instructions_table(subject.code)])


def _stack(subject: Subject) -> Content:
    def tables(subject: Subject) -> Sequence[Table]:
        report = sub_report(subject.moment, [subject.tid])
        return [stacks_table(report, EACH), guards_table(report, EACH), altstacks_table(report, EACH)]

    now, before = _compared(subject, tables)
    findings = [finding for finding in subject.moment.report.findings if finding.tid == subject.tid]
    about = (
        table_content([findings_table(replace(subject.moment.report, findings=tuple(findings)))])
        if findings
        else Content()
    )
    return joined(_history(subject), table_content(now, no_links, before), about)


def _history(subject: Subject) -> Content:
    values = subject.moment.history.get(subject.tid, ())
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Content()
    line: Line = (
        Span("Used  ", Role.TITLE),
        Span(sparkline(values, HISTORY), Role.USED),
        Span(f"  {size_words(min(known))} … {size_words(max(known))} in {len(values)} refreshes", Role.DIM),
    )
    return Content((TextEntry(line), TextEntry(())))


def _tls(subject: Subject) -> Content:
    def tables(subject: Subject) -> Sequence[Table]:
        report = sub_report(subject.moment, [subject.tid])
        views = (values_table, variables_table, destructors_table, blocks_table)
        keys = {key.key: key for key in report.tls_keys}
        made = [view(report, EACH) for view in views]
        shown = [_without_owner(table) for table in made if table.rows]
        return [_with_destructors(table, {key: entry.symbol for key, entry in keys.items()}) for table in shown]

    now, before = _compared(subject, tables)
    if not now:
        return text_content((Span("No value of a key, and no thread-local variable.", Role.DIM),))
    return table_content(now, no_links, before)


def _without_owner(table: Table) -> Table:
    """The table without the columns that name the thread: it is but one."""
    kept = [at for at, column in enumerate(table.columns) if column.key not in {"tid", "name"}]
    rows = tuple(replace(row, cells=tuple(row.cells[at] for at in kept)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[at] for at in kept), rows=rows)


def _with_destructors(table: Table, symbols: dict[int, str | None]) -> Table:
    """The values of keys with the destructor that will get each."""
    at = table.column("key")
    if at is None:
        return table
    rows = tuple(
        replace(row, cells=(*row.cells, Cell(symbols.get(int(row.cells[at].text)) or "", Role.CODE)))
        for row in table.rows
    )
    return replace(
        table, columns=(*table.columns, Column("destructor", "DESTRUCTOR", priority=1, min_width=10)), rows=rows
    )


def _refs(subject: Subject) -> Content:
    moment, tid = subject.moment, subject.tid
    return joined(
        _reference_list(subject, moment.references_out.get(tid, ()), "Points into other stacks", outward=True),
        _reference_list(subject, moment.references_in.get(tid, ()), "Pointed to by", outward=False),
    )


def _reference_list(subject: Subject, references: Sequence[StackReference], title: str, *, outward: bool) -> Content:
    report = replace(subject.moment.report, references=tuple(references))
    table = replace(list_table(report, EACH), title=f"{title}: {len(references):,}", notes=(), empty="none")
    groups = reference_groups(references)

    def links(_: Table, row: Row) -> tuple[Link | None, int | None]:
        reference = groups[int(row.key.split(":")[1])][0]
        return reference_link(reference, outward=outward), reference.value

    return table_content([table], links)


def reference_link(reference: StackReference, *, outward: bool) -> Link | None:
    """Where a reference leads: to the frame it points into, or back to the frame it is held in."""
    if outward:
        return Link(reference.to_tid, reference.target.frame) if reference.to_tid is not None else None
    if reference.from_tid is None:
        return None
    return Link(reference.from_tid, 0 if reference.place.kind is PlaceKind.REGISTER else reference.place.frame)


def link_to(moment: Moment, address: int, own: int) -> Link | None:
    """The thread other than ``own`` on whose stack ``address`` lies, and the frame."""
    region = moment.places.region(address)
    entry = moment.threads.get(region.tid) if region and region.tid and region.tid != own else None
    if entry is None:
        return None
    frames = entry.call_stack.frames if entry.call_stack else ()
    found = next((frame.index for frame in frames if frame.extent and address in frame.extent), None)
    return Link(entry.thread.tid, found)


def _scopes(subject: Subject) -> Content:
    def tables(subject: Subject) -> Sequence[Table]:
        report = subject.moment.report
        scopes = tuple(scope for scope in report.scopes if _concerns(scope, subject.tid))
        return [replace(scopes_table(replace(report, scopes=scopes)), empty="it neither owns nor lives in a scope")]

    now, before = _compared(subject, tables)
    return table_content(now, thread_links, before)


def _concerns(scope: Scope, tid: int) -> bool:
    lent = any(tid in (loan.lender_tid, loan.borrower_tid) for loan in scope.borrows)
    return lent or tid == scope.owner_tid or tid in scope.threads


_MAKERS: dict[Pane, Callable[[Subject], Content]] = {
    Pane.FRAMES: _frames,
    Pane.REGISTERS: _registers,
    Pane.CODE: _code,
    Pane.STACK: _stack,
    Pane.TLS: _tls,
    Pane.REFS: _refs,
    Pane.SCOPES: _scopes,
}
