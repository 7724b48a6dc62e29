"""The registers of one thread, and what each points to as far as the report knows."""

from __future__ import annotations

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.views.table import NOTHING, Cell, Column, Role, Row, Table
from tinspect.views.words import address_words, file_name

_COLUMNS = (
    Column("register", "REGISTER"),
    Column("value", "VALUE"),
    Column("what", "POINTS TO", priority=1, min_width=12),
)


def registers_table(report: ProcessReport, entry: ThreadReport) -> Table:
    """One row a register, in the architecture's order."""
    registers = entry.thread.registers
    rows = tuple(
        Row(
            f"register:{name}",
            (Cell(name), Cell(address_words(value), Role.ADDRESS, sort=value), place_of(report, value)),
        )
        for name, value in (registers or ())
    )
    return Table("registers", "Registers", _COLUMNS, rows, "no registers were captured")


def place_of(report: ProcessReport, address: int) -> Cell:
    """What an address belongs to, by the report's own regions and modules: "[ stack tid=7 ]+0x80", "libc.so.6+0x1234"."""
    for region in report.regions:
        if address in region.range:
            return Cell(f"{region.label}+{address - region.range.low:#x}", Role.NOTE)
    for module in report.modules:
        if address in module.range:
            return Cell(f"{file_name(module.name)}+{address - module.load_bias:#x}", Role.CODE)
    return NOTHING
