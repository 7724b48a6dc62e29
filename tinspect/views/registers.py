"""The registers of one thread, and what each points to as far as the report knows."""

from __future__ import annotations

from bisect import bisect_right

from tinspect.model.report import MemoryRegion, ProcessReport, ThreadReport
from tinspect.views.table import NOTHING, Cell, Column, Role, Row, Table
from tinspect.views.words import address_words, file_name

_NESTED = 4
"""Regions that may begin between an address and the start of the one it lies in (alternate stacks within stacks)."""

_COLUMNS = (
    Column("register", "REGISTER"),
    Column("value", "VALUE"),
    Column("what", "POINTS TO", priority=1, min_width=12),
)


class Places:
    """The report's regions by address, made once: a process with thousands of threads has tens of thousands of them."""

    def __init__(self, report: ProcessReport) -> None:
        self._regions = sorted(report.regions, key=lambda region: region.range)
        self._lows = [region.range.low for region in self._regions]
        self._modules = report.modules

    def region(self, address: int) -> MemoryRegion | None:
        """The region ``address`` lies in; the inner one of two."""
        at = bisect_right(self._lows, address) - 1
        return next(
            (region for region in self._regions[max(at - _NESTED, 0) : at + 1][::-1] if address in region.range), None
        )

    def cell(self, address: int) -> Cell:
        """What an address belongs to: "[ stack tid=7 ]+0x80", "libc.so.6+0x1234"; nothing when that is not known."""
        region = self.region(address)
        if region is not None:
            return Cell(f"{region.label}+{address - region.range.low:#x}", Role.NOTE)
        for module in self._modules:
            if address in module.range:
                return Cell(f"{file_name(module.name)}+{address - module.load_bias:#x}", Role.CODE)
        return NOTHING


def registers_table(report: ProcessReport, entry: ThreadReport, places: Places | None = None) -> Table:
    """One row a register, in the architecture's order. ``places`` are the report's, where the caller has them already."""
    registers = entry.thread.registers
    places = places or Places(report)
    rows = tuple(
        Row(
            f"register:{name}",
            (Cell(name), Cell(address_words(value), Role.ADDRESS, sort=value), places.cell(value)),
        )
        for name, value in (registers or ())
    )
    return Table("registers", "Registers", _COLUMNS, rows, "no registers were captured")
