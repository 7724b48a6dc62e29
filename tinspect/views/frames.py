"""Call stacks: of one thread in full, and of all threads with alike ones shared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.views.grouping import grouped, name_cell, tids_cell
from tinspect.views.table import NOTHING, Align, Cell, Column, Role, Row, Table, without_empty_columns
from tinspect.views.words import address_cell, file_name, frame_words, size_cell

_COLUMNS = (
    Column("index", "#", Align.RIGHT),
    Column("pc", "PC", priority=1),
    Column("function", "FUNCTION", min_width=16),
    Column("place", "SOURCE", priority=2, min_width=10),
    Column("module", "MODULE", priority=4, min_width=8),
    Column("sp", "SP", priority=3),
    Column("size", "SIZE", Align.RIGHT, priority=5, unit="B"),
    Column("by", "FOUND BY", priority=6),
)
# Of a recursion this many frames are shown one by one.
_RECURSION_SHOWN = 8
_GUESSES = (FrameSource.FRAME_POINTER, FrameSource.STACK_SCAN)


def frames_table(call_stack: CallStack, title: str = "Call stack") -> Table:
    """One row a frame, innermost first. Functions inlined into a frame stand before it; of a recursion the first frames alone."""
    rows = tuple(row for run in _recursions(call_stack.frames) for row in _run_rows(run))
    notes = () if call_stack.complete else (f"Not complete: {call_stack.ended}.",)
    return without_empty_columns(Table("frames", title, _COLUMNS, rows, "no frames", notes), ("place",))


def frames_tables(report: ProcessReport) -> tuple[Table, ...]:
    """The call stacks of all threads; threads with the same one share a table."""
    known = [entry for entry in report.threads if entry.call_stack is not None]
    return tuple(_shared_table(group) for group in grouped(known, _places))


def _places(entry: ThreadReport) -> tuple[int, ...]:
    return tuple(frame.pc for frame in entry.call_stack.frames) if entry.call_stack else ()


def _shared_table(group: list[ThreadReport]) -> Table:
    tids = tids_cell(tuple(entry.thread.tid for entry in group)).text
    call_stack = group[0].call_stack or CallStack(group[0].thread.tid, ())
    table = frames_table(call_stack, f"Call stack of {tids} {name_cell(group).text}".rstrip())
    if len(group) == 1:
        return table
    # The stack pointer is one thread's own.
    position = table.column("sp")
    rows = tuple(
        replace(row, cells=tuple(NOTHING if at == position else cell for at, cell in enumerate(row.cells)))
        for row in table.rows
    )
    return replace(table, rows=rows)


def _recursions(frames: tuple[Frame, ...]) -> Iterator[tuple[Frame, ...]]:
    """Runs of frames that stand at the same place of the same function."""
    for _, run in groupby(frames, key=lambda frame: frame.pc):
        yield tuple(run)


def _run_rows(run: tuple[Frame, ...]) -> list[Row]:
    if len(run) <= _RECURSION_SHOWN + 1:
        return [row for frame in run for row in _frame_rows(frame)]
    hidden = run[_RECURSION_SHOWN:]
    size = hidden[-1].sp - hidden[0].sp + (hidden[-1].extent.size if hidden[-1].extent else 0)
    words = f"… {len(hidden):,} more frames of the same place"
    cells = (NOTHING, NOTHING, Cell(words, Role.DIM), NOTHING, NOTHING, NOTHING, size_cell(size), NOTHING)
    shown = [row for frame in run[:_RECURSION_SHOWN] for row in _frame_rows(frame)]
    return [*shown, Row(f"frame:{hidden[0].index} more", cells)]


def _frame_rows(frame: Frame) -> list[Row]:
    rows = [
        Row(
            f"frame:{frame.index} inlined:{depth}",
            (NOTHING, NOTHING, Cell(f"{name} (inlined)", Role.CODE), *[NOTHING] * 5),
        )
        for depth, name in enumerate(frame.inlined)
    ]
    return [*rows, Row(f"frame:{frame.index}", _cells(frame))]


def _cells(frame: Frame) -> tuple[Cell, ...]:
    is_guess = frame.source in _GUESSES
    line = f":{frame.line}" if frame.line is not None else ""
    return (
        Cell(str(frame.index), sort=frame.index),
        address_cell(frame.pc),
        Cell(frame_words(frame), Role.GUESS if is_guess else Role.CODE),
        Cell(f"{frame.file}{line}") if frame.file else NOTHING,
        Cell(file_name(frame.module), Role.DIM) if frame.module else NOTHING,
        address_cell(frame.sp),
        size_cell(frame.extent.size) if frame.extent else NOTHING,
        Cell(frame.source.value.replace("_", " "), Role.GUESS if is_guess else Role.DIM),
    )
