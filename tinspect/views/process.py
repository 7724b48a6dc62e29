"""The process: what was inspected, its limits, its labelled memory, the stacks of finished threads, its modules."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tinspect.model.module import Module
from tinspect.model.report import LibcInfo, MemoryRegion, ProcessLimits, ProcessReport, TargetInfo
from tinspect.model.signals import SignalHandler
from tinspect.model.stack import CachedStack
from tinspect.views.grouping import grouped
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.stacks import source_cell
from tinspect.views.table import NOTHING, UNKNOWN, Align, Cell, Column, Role, Row, Table, text_cell
from tinspect.views.words import address_cell, duration_words, size_cell, size_words, tid_cell, tids_words

_FACT_COLUMNS = (Column("fact", "FACT"), Column("value", "VALUE", min_width=20, wrap=True))
_REGION_COLUMNS = (
    Column("low", "LOW"),
    Column("high", "HIGH"),
    Column("size", "SIZE", Align.RIGHT, unit="B"),
    Column("label", "WHAT", min_width=16),
)
_CACHED_COLUMNS = (
    Column("low", "LOW"),
    Column("high", "HIGH"),
    Column("size", "SIZE", Align.RIGHT, unit="B"),
    Column("guard", "GUARD", Align.RIGHT, priority=1, unit="B"),
    Column("tid", "LAST TID", Align.RIGHT, priority=2),
    Column("source", "SOURCE", priority=3),
)
_MODULE_COLUMNS = (
    Column("low", "LOW"),
    Column("high", "HIGH", priority=2),
    Column("size", "SIZE", Align.RIGHT, priority=1, unit="B"),
    Column("name", "MODULE", min_width=16),
    Column("tls", "TLS", Align.RIGHT, priority=4),
    Column("build_id", "BUILD ID", priority=5),
    Column("state", "", priority=3),
)
_HANDLER_COLUMNS = (
    Column("signals", "SIGNALS", min_width=12, wrap=True),
    Column("handler", "HANDLER"),
    Column("symbol", "SYMBOL", min_width=12),
    Column("flags", "FLAGS", priority=1, min_width=12, wrap=True),
    Column("source", "SOURCE", priority=2),
)
REGION_ROLES = {"stack": Role.GOOD, "altstack": Role.NOTE, "guard": Role.WARNING, "cached_stack": Role.DIM}


def process_tables(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The facts always; the others when they have rows."""
    rest = (regions_table(report, options), handlers_table(report), cached_table(report), modules_table(report))
    return (facts_table(report.target, report.limits), *(table for table in rest if table.rows))


def facts_table(target: TargetInfo, limits: ProcessLimits) -> Table:
    """What was inspected, and what bounds its threads."""
    unlimited = limits.stack == -1
    facts = (
        ("kind", Cell(target.kind)),
        ("pid", UNKNOWN if target.pid is None else Cell(str(target.pid))),
        ("executable", text_cell(target.executable or None)),
        ("architecture", text_cell(target.architecture)),
        ("libc", Cell(libc_words(target.libc))),
        ("stood still", NOTHING if target.pause_us is None else Cell(duration_words(target.pause_us))),
        ("stack limit", Cell("unlimited") if unlimited else _plain_size(limits.stack)),
        ("least signal stack", _plain_size(limits.signal_stack)),
        ("most keys", UNKNOWN if limits.keys is None else Cell(f"{limits.keys:,}")),
    )
    rows = tuple(Row(f"fact:{name}", (Cell(name, Role.DIM), cell)) for name, cell in facts if cell is not NOTHING)
    return Table("process", "Process", _FACT_COLUMNS, rows)


def _plain_size(size: int | None) -> Cell:
    return UNKNOWN if size is None else Cell(size_words(size), sort=size)


def libc_words(libc: LibcInfo) -> str:
    """ "glibc 2.36, layout by dwarf"."""
    version = f" {libc.version}" if libc.version else ""
    layout = f", layout by {libc.layout_source}" if libc.layout_source else ""
    return f"{libc.name or '?'}{version}{layout}"


def regions_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """The labelled map; when there are many threads, regions of one kind and size share a row."""
    share = options.group_over and len(report.regions) > 3 * options.group_over

    def alike(region: MemoryRegion) -> Hashable:
        return (region.kind, region.range.size) if share and region.tid is not None else region

    rows = tuple(_region_row(group) for group in grouped(report.regions, alike))
    return Table("process", f"Labelled memory: {len(report.regions):,} regions", _REGION_COLUMNS, rows)


def _region_row(group: list[MemoryRegion]) -> Row:
    first = group[0]
    tids = tuple(region.tid for region in group if region.tid is not None)
    label = first.label
    if len(group) > 1:
        label = f"[ {first.kind.replace('_', ' ')} tid={tids_words(tids)} ] ×{len(group)}"
    cells = (
        address_cell(min(region.range.low for region in group)),
        address_cell(max(region.range.high for region in group)),
        size_cell(first.range.size),
        Cell(label, REGION_ROLES.get(first.kind, Role.PLAIN)),
    )
    return Row(f"region:{first.range.low:x}", cells, tids)


def handlers_table(report: ProcessReport) -> Table:
    """The signal handlers; the signals that one handles in the same way share a row."""
    groups = grouped(report.signal_handlers or (), lambda handler: (handler.handler, handler.flags))
    rows = tuple(_handler_row(group) for group in groups)
    return Table("handlers", f"Signal handlers: {len(report.signal_handlers or ()):,}", _HANDLER_COLUMNS, rows, "none")


def _handler_row(group: Sequence[SignalHandler]) -> Row:
    first = group[0]
    cells = (
        Cell(" ".join(handler.name for handler in group), sort=first.signal),
        address_cell(first.handler),
        text_cell(first.symbol, Role.CODE),
        Cell(" ".join(first.flags), Role.DIM),
        source_cell(first.source),
    )
    return Row(f"handler:{first.signal}", cells)


def cached_table(report: ProcessReport) -> Table:
    """The stacks libc keeps of finished threads."""
    rows = tuple(_cached_row(stack) for stack in report.cached_stacks)
    return Table("process", f"Cached stacks of finished threads: {len(rows):,}", _CACHED_COLUMNS, rows)


def _cached_row(stack: CachedStack) -> Row:
    cells = (
        address_cell(stack.range.low),
        address_cell(stack.range.high),
        size_cell(stack.range.size),
        size_cell(stack.guard_size),
        tid_cell(stack.tid),
        source_cell(stack.source),
    )
    return Row(f"cached:{stack.range.low:x}", cells)


def modules_table(report: ProcessReport) -> Table:
    """The loaded images, by address."""
    rows = tuple(_module_row(module) for module in report.modules)
    return Table("process", f"Modules: {len(rows):,}", _MODULE_COLUMNS, rows)


def _module_row(module: Module) -> Row:
    cells = (
        address_cell(module.range.low),
        address_cell(module.range.high),
        size_cell(module.range.size),
        text_cell(module.path or module.name),
        NOTHING if module.tls_module_id is None else Cell(str(module.tls_module_id), sort=module.tls_module_id),
        Cell(module.build_id, Role.DIM) if module.build_id else NOTHING,
        Cell("deleted", Role.WARNING) if module.deleted else NOTHING,
    )
    return Row(f"module:{module.range.low:x}", cells)
