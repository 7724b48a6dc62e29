"""How the program died: the verdict, the facts of the signal, the instructions around the place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tinspect.model.crash import Crash, Instruction
from tinspect.model.report import ProcessReport, Severity
from tinspect.views.frames import frames_table
from tinspect.views.table import NOTHING, Cell, Column, Role, Row, Table
from tinspect.views.words import address_cell, address_words

_FACT_COLUMNS = (Column("fact", "FACT"), Column("value", "VALUE", min_width=30, wrap=True))
_CODE_COLUMNS = (
    Column("mark", ""),
    Column("address", "ADDRESS"),
    Column("bytes", "BYTES", priority=1),
    Column("text", "INSTRUCTION", min_width=20),
)


def crash_tables(report: ProcessReport) -> tuple[Table, ...]:
    """Nothing when the program did not die; else verdict, call stack of the thread, instructions."""
    if report.crash is None:
        return ()
    tables = [verdict_table(report, report.crash)]
    entry = report.thread(report.crash.tid)
    if entry is not None and entry.call_stack is not None:
        tables.append(replace(frames_table(entry.call_stack, f"Call stack of {entry.thread.tid}"), name="crash"))
    if report.crash.instructions:
        tables.append(replace(instructions_table(report.crash.instructions), name="crash"))
    return tuple(tables)


def signal_words(crash: Crash) -> str:
    """ "SIGSEGV (11), SEGV_ACCERR at 0x00007f12…"."""
    words = f"{crash.signal_name} ({crash.signal})"
    if crash.code_name or crash.code is not None:
        words += f", {crash.code_name if crash.code_name else f'code {crash.code}'}"
    return words + (f" at {address_words(crash.address)}" if crash.address is not None else "")


def _verdict_words(crash: Crash) -> str:
    """ "null-dereference: Thread 7 …"; where the signal has no verdict of its own, the sentence alone."""
    return crash.message if crash.verdict == "unknown" else f"{crash.verdict}: {crash.message}"


def verdict_table(report: ProcessReport, crash: Crash) -> Table:
    """What happened, to whom, by which signal."""
    entry = report.thread(crash.tid)
    name = f" {entry.thread.name}" if entry else ""
    facts = (
        ("verdict", Cell(_verdict_words(crash), Role.ERROR)),
        ("thread", Cell(f"{crash.tid}{name}", Role.NAME)),
        ("signal", Cell(signal_words(crash))),
    )
    rows = tuple(
        Row(f"crash:{name}", (Cell(name, Role.DIM), cell), (crash.tid,), Severity.ERROR) for name, cell in facts
    )
    return Table("crash", "Crash", _FACT_COLUMNS, rows)


def instructions_table(instructions: Iterable[Instruction]) -> Table:
    """The disassembly around a place, the current instruction marked."""
    rows = tuple(
        Row(
            f"at:{instruction.address:x}",
            (
                Cell("→", Role.ERROR) if instruction.is_current else NOTHING,
                address_cell(instruction.address),
                Cell(instruction.data.hex(" "), Role.DIM),
                Cell(instruction.text, Role.CODE),
            ),
        )
        for instruction in instructions
    )
    return Table("code", "Instructions", _CODE_COLUMNS, rows, "the code there cannot be read")
