"""Thread-local storage: the key table, each thread's values, thread-local variables, module blocks, exit destructors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import TypeAlias, TypeVar

from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.tls import ThreadTls, TlsBlock, TlsDestructor, TlsKey, TlsSlot, TlsVariable
from tinspect.views.grouping import grouped, name_cell, one_address_cell, shares_rows, tids_cell
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.stacks import source_cell
from tinspect.views.table import (
    NOTHING,
    UNKNOWN,
    Align,
    Cell,
    Column,
    Role,
    Row,
    Table,
    text_cell,
    without_empty_columns,
)
from tinspect.views.threads import NAME, TID
from tinspect.views.words import (
    address_cell,
    file_name,
    number_cell,
    optional_cell,
    size_cell,
)

T = TypeVar("T")

_KEY = Column("key", "KEY", Align.RIGHT)
_KEY_COLUMNS = (
    _KEY,
    Column("name", "NAME", priority=1, min_width=8),
    Column("sequence", "SEQ", Align.RIGHT, priority=4),
    Column("threads", "THREADS", Align.RIGHT, priority=1),
    Column("destructor", "DESTRUCTOR"),
    Column("symbol", "SYMBOL", min_width=12),
    Column("module", "MODULE", priority=2, min_width=10),
    Column("mapped", "STATE", priority=1),
)
_VALUE_COLUMNS = (
    TID,
    NAME,
    _KEY,
    Column("value", "VALUE"),
    Column("what", "WHAT IT IS", priority=2, min_width=12),
)
_VARIABLE_COLUMNS = (
    TID,
    NAME,
    Column("variable", "VARIABLE", min_width=10),
    Column("value", "VALUE", min_width=10),
    Column("type", "TYPE", priority=3, min_width=6),
    Column("size", "SIZE", Align.RIGHT, priority=4, unit="B"),
    Column("address", "ADDRESS", priority=2),
    Column("module", "MODULE", priority=5, min_width=8),
)
_BLOCK_COLUMNS = (
    TID,
    NAME,
    Column("id", "ID", Align.RIGHT, priority=3),
    Column("module", "MODULE", min_width=10),
    Column("low", "LOW"),
    Column("high", "HIGH", priority=1),
    Column("size", "SIZE", Align.RIGHT, unit="B"),
    Column("source", "SOURCE", priority=4),
)
_DESTRUCTOR_COLUMNS = (
    TID,
    NAME,
    Column("order", "#", Align.RIGHT),
    Column("function", "FUNCTION"),
    Column("symbol", "SYMBOL", priority=1, min_width=12),
    Column("argument", "OBJECT"),
)


def tls_tables(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The key table always; the others when they have rows."""
    rest = (values_table, variables_table, blocks_table, destructors_table)
    return (keys_table(report), *(table for view in rest if (table := view(report, options)).rows))


def keys_table(report: ProcessReport) -> Table:
    """The process's pthread keys."""
    holders = Counter(slot.key for _, tls in _with_tls(report) for slot in tls.slots)
    rows = tuple(Row(f"key:{key.key}", _key_cells(key, holders[key.key])) for key in report.tls_keys)
    room = f" of {report.limits.keys:,}" if report.limits.keys else ""
    title = f"Thread-specific keys: {len(rows):,}{room}"
    return without_empty_columns(Table("tls", title, _KEY_COLUMNS, rows, "no key is in use"), ("name",))


def _key_cells(key: TlsKey, holders: int) -> tuple[Cell, ...]:
    none = key.destructor == 0
    return (
        Cell(str(key.key), sort=key.key),
        optional_cell(key.name, Role.NAME),
        number_cell(key.sequence),
        Cell(str(holders), sort=holders),
        Cell("none", Role.DIM) if none else address_cell(key.destructor),
        NOTHING if none else text_cell(key.symbol, Role.CODE),
        NOTHING if none else text_cell(file_name(key.module) if key.module else None),
        _mapped_cell(key),
    )


def _mapped_cell(key: TlsKey) -> Cell:
    if key.destructor == 0 or key.mapped:
        return NOTHING
    return UNKNOWN if key.mapped is None else Cell("not mapped", Role.ERROR)


def _with_tls(report: ProcessReport) -> Iterator[tuple[ThreadReport, ThreadTls]]:
    for entry in report.threads:
        if entry.tls is not None:
            yield entry, entry.tls


MANY = 24
"""From more rows than this on, alike ones of several threads share one."""

_Pairs: TypeAlias = list[tuple[ThreadReport, T]]


def _rows(
    report: ProcessReport,
    options: ViewOptions,
    pairs: _Pairs[T],
    likeness: Callable[[T], Hashable],
    cells: Callable[[_Pairs[T]], tuple[Cell, ...]],
) -> tuple[Row, ...]:
    """A row for each pair of thread and thing; when they are many, a row for all pairs of the same likeness."""
    share = shares_rows(report, options) or (options.group_over > 0 and len(pairs) > MANY)
    groups = grouped(pairs, lambda pair: likeness(pair[1])) if share else [[pair] for pair in pairs]
    rows = []
    for number, group in enumerate(groups):
        tids = tuple(entry.thread.tid for entry, _ in group)
        owners = (tids_cell(tids), name_cell([entry for entry, _ in group]))
        key = f"group:{number}" if share else f"tid:{tids[0]} {likeness(group[0][1])} {number}"
        rows.append(Row(key, (*owners, *cells(group)), tids))
    return tuple(rows)


def values_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """Each thread's values of the keys."""
    pairs = [(entry, slot) for entry, tls in _with_tls(report) for slot in tls.slots]
    rows = _rows(report, options, pairs, lambda slot: (slot.key, _kind_of(slot)), _value_cells)
    return Table("tls", f"Values of keys: {len(pairs):,}", _VALUE_COLUMNS, rows)


def _kind_of(slot: TlsSlot) -> str | None:
    """A description without its numbers: what alike values have in common."""
    if slot.description is None:
        return None
    return " ".join(word for word in slot.description.split(" ") if not any(letter.isdigit() for letter in word))


def _value_cells(group: _Pairs[TlsSlot]) -> tuple[Cell, ...]:
    slot = group[0][1]
    return (
        Cell(str(slot.key), sort=slot.key),
        one_address_cell(each.value for _, each in group),
        text_cell(slot.description if len(group) == 1 else _kind_of(slot)),
    )


def variables_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """Thread-local variables with their values."""
    pairs = [(entry, variable) for entry, tls in _with_tls(report) for variable in tls.variables]

    def likeness(variable: TlsVariable) -> Hashable:
        return variable.module, variable.name, _content_cell(variable).text

    rows = _rows(report, options, pairs, likeness, _variable_cells)
    return Table("tls", f"Thread-local variables: {len(pairs):,}", _VARIABLE_COLUMNS, rows)


def _variable_cells(group: _Pairs[TlsVariable]) -> tuple[Cell, ...]:
    variable = group[0][1]
    return (
        Cell(variable.name, Role.CODE),
        _content_cell(variable),
        text_cell(variable.type_name, Role.DIM),
        size_cell(variable.size),
        one_address_cell(each.address for _, each in group),
        text_cell(file_name(variable.module)),
    )


def _content_cell(variable: TlsVariable) -> Cell:
    if variable.value is not None:
        return Cell(variable.value)
    if variable.data is None:
        return UNKNOWN
    shown = variable.data[:16].hex(" ")
    return Cell(shown + (" …" if len(variable.data) > 16 else ""), Role.DIM)


def blocks_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """Where each module's thread-local storage lies for each thread."""
    pairs = [(entry, block) for entry, tls in _with_tls(report) for block in tls.blocks]
    rows = _rows(report, options, pairs, lambda block: (block.module_id, block.range is None), _block_cells)
    return Table("tls", f"Blocks of thread-local storage: {len(pairs):,}", _BLOCK_COLUMNS, rows)


def _block_cells(group: _Pairs[TlsBlock]) -> tuple[Cell, ...]:
    block = group[0][1]
    ranges = [each.range for _, each in group if each.range is not None]
    place = (
        (
            one_address_cell(found.low for found in ranges),
            one_address_cell(found.high for found in ranges),
            size_cell(max(found.size for found in ranges)),
        )
        if ranges
        else (Cell("not allocated", Role.DIM), NOTHING, NOTHING)
    )
    return (
        Cell(str(block.module_id), sort=block.module_id),
        text_cell(file_name(block.module)),
        *place,
        source_cell(block.source),
    )


def destructors_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """The C++ and Rust destructors that will run when each thread exits, first to run first."""
    pairs = [(entry, each) for entry, tls in _with_tls(report) for each in enumerate(tls.destructors, 1)]
    rows = _rows(report, options, pairs, lambda each: (each[0], each[1].function), _destructor_cells)
    return Table("tls", f"Destructors at thread exit: {len(pairs):,}", _DESTRUCTOR_COLUMNS, rows)


def _destructor_cells(group: _Pairs[tuple[int, TlsDestructor]]) -> tuple[Cell, ...]:
    order, destructor = group[0][1]
    return (
        Cell(str(order), sort=order),
        address_cell(destructor.function),
        text_cell(destructor.symbol, Role.CODE),
        one_address_cell(each.argument for _, (_, each) in group),
    )
