"""The threads: who they are, where they stand, what they wait for."""

from __future__ import annotations

from collections.abc import Sequence

from tinspect.model.lock import Waiter
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.stack import RunningOn
from tinspect.model.thread import Exactness
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.table import (
    NOTHING,
    SEVERITY_ROLES,
    UNKNOWN,
    Align,
    Cell,
    Column,
    Role,
    Table,
    without_empty_columns,
)
from tinspect.views.words import count_words, duration_words, file_name, frame_words, function_words, optional_cell

TID = Column("tid", "TID", Align.RIGHT)
NAME = Column("name", "NAME", priority=1, min_width=8)

_COLUMNS = (
    TID,
    Column("name", "NAME", min_width=8),
    Column("state", "STATE", priority=2),
    Column("at", "AT", min_width=14),
    Column("waits", "WAITS FOR", priority=1, min_width=12),
    Column("on", "ON", priority=3),
    Column("cpu", "CPU", Align.RIGHT, priority=4),
    Column("start", "STARTED AS", priority=5, min_width=10),
    Column("capture", "CAPTURE", priority=3),
    Column("pc", "PC", priority=6),
    Column("sp", "SP", priority=7),
    Column("pthread", "PTHREAD", priority=8),
    Column("module", "MODULE", priority=9, min_width=8),
)
_OPTIONAL = ("waits", "on", "cpu", "start", "capture", "module")

_STATE_ROLES = {"running": Role.GOOD, "zombie": Role.WARNING, "dead": Role.WARNING, "stopped": Role.NOTE}

RUNNING_ON_CELLS = {
    RunningOn.STACK: Cell("own", Role.DIM),
    RunningOn.ALTSTACK: Cell("altstack", Role.NOTE),
    RunningOn.FOREIGN: Cell("foreign", Role.WARNING),
    RunningOn.UNKNOWN: UNKNOWN,
}


def threads_table(
    report: ProcessReport, options: ViewOptions = DEFAULT_VIEW, groups: Sequence[ThreadGroup] | None = None
) -> Table:
    """One row a thread, or a group of alike ones."""
    groups = thread_groups(report, options) if groups is None else groups
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    rows = tuple(group.row(_cells(group, names)) for group in groups)
    title = f"Threads: {len(report.threads):,}"
    hint = options.hint("--every-thread: one each")
    notes = (f"Alike threads share a row{hint}.",) if len(rows) < len(report.threads) else ()
    table = Table("threads", title, _COLUMNS, rows, "no threads", notes)
    return without_empty_columns(table, _OPTIONAL)


def _cells(group: ThreadGroup, names: dict[int, str]) -> tuple[Cell, ...]:
    entry = group.first
    thread = entry.thread
    return (
        _marked(group),
        _named(group),
        Cell(thread.state, _STATE_ROLES.get(thread.state, Role.PLAIN)) if thread.state != "unknown" else UNKNOWN,
        place_cell(entry),
        waits_cell(entry.waits_for, names),
        NOTHING if running_on(entry) is RunningOn.STACK else RUNNING_ON_CELLS[running_on(entry)],
        _cpu_cell(group),
        optional_cell(entry.start_routine, Role.CODE),
        _capture_cell(thread.exactness),
        group.address_cell(lambda member: member.thread.registers.pc if member.thread.registers else None),
        group.address_cell(lambda member: member.thread.registers.sp if member.thread.registers else None),
        group.address_cell(lambda member: member.pthread),
        optional_cell(file_name(entry.module) if entry.module else None),
    )


def _marked(group: ThreadGroup) -> Cell:
    cell = group.tid_cell()
    return Cell(cell.text, SEVERITY_ROLES[group.severity], cell.sort) if group.severity else cell


def _named(group: ThreadGroup) -> Cell:
    cell = group.name_cell()
    return Cell(f"{cell.text} (main)", cell.role) if group.first.thread.is_main and group.is_single else cell


def running_on(entry: ThreadReport) -> RunningOn:
    """Which stack the thread runs on."""
    return entry.use.running_on if entry.use else RunningOn.UNKNOWN


def is_elsewhere(entry: ThreadReport) -> bool:
    """Whether the thread is known to run on another stack than its own."""
    return running_on(entry) in (RunningOn.ALTSTACK, RunningOn.FOREIGN)


def place_cell(entry: ThreadReport) -> Cell:
    """Where a thread stands: its innermost frame, or the function at its pc."""
    if entry.call_stack and entry.call_stack.frames:
        return Cell(frame_words(entry.call_stack.frames[0]), Role.CODE)
    if entry.function is None and entry.module is not None:
        return Cell(f"? in {file_name(entry.module)}", Role.DIM)
    return Cell(function_words(entry.function), Role.CODE if entry.function else Role.DIM)


def waits_cell(waiter: Waiter | None, names: dict[int, str]) -> Cell:
    """What a thread waits for, in words: "mutex 0x… held by 12 main", "futex(0x…, WAIT, 2)"."""
    if waiter is None:
        return NOTHING
    if waiter.kind == "syscall" or (waiter.kind == "futex" and waiter.arguments):
        return Cell(_call_words(waiter))
    words = waiter.kind.value
    if waiter.address is not None:
        words += f" {waiter.address:#x}"
    if waiter.owner_tid is not None:
        relation = "of" if waiter.kind == "join" else "held by"
        words += f" {relation} {waiter.owner_tid} {names.get(waiter.owner_tid, '')}".rstrip()
    return Cell(words)


def _call_words(waiter: Waiter) -> str:
    """Arguments may come with the call's name around them, as strace writes it, or without."""
    name, arguments = waiter.syscall or waiter.kind.value, waiter.arguments or ""
    return arguments if arguments.startswith(f"{name}(") else f"{name}({arguments})"


def _cpu_cell(group: ThreadGroup) -> Cell:
    times = [member.thread.cpu_time_us for member in group.members]
    known = [time for time in times if time is not None]
    # The kernel counts in ticks of some ms: 0 is less than a tick.
    return Cell(duration_words(sum(known)) if any(known) else "", sort=sum(known)) if known else UNKNOWN


_CAPTURES = {
    Exactness.STOPPED: NOTHING,
    Exactness.UNMOVED: Cell("exact", Role.GOOD),
    Exactness.TORN: Cell("torn", Role.WARNING),
    Exactness.UNSEEN: Cell("unseen", Role.WARNING),
}


def _capture_cell(exactness: Exactness) -> Cell:
    return _CAPTURES[exactness]


def threads_summary(report: ProcessReport) -> str:
    """How many threads in which states: "12 threads: 11 sleeping, 1 running"; the number alone where no state is known."""
    counts: dict[str, int] = {}
    for entry in report.threads:
        counts[entry.thread.state] = counts.get(entry.thread.state, 0) + 1
    if set(counts) == {"unknown"}:
        counts = {}
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{count_words(len(report.threads), 'thread')}{': ' if states else ''}{states}"
