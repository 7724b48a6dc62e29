"""What addresses are: a line of words for each, and the facts behind it."""

from __future__ import annotations

from collections.abc import Iterable

from tinspect.model.whatis import AddressKind, WhatIs
from tinspect.views.stacks import source_cell
from tinspect.views.table import Cell, Column, Role, Row, Table
from tinspect.views.words import address_cell, address_words, file_name, function_words, size_words

_COLUMNS = (
    Column("address", "ADDRESS"),
    Column("kind", "KIND", priority=1),
    Column("words", "WHAT IT IS", min_width=30, wrap=True),
    Column("source", "SOURCE", priority=2),
)
_FACT_COLUMNS = (Column("fact", "FACT"), Column("value", "VALUE", min_width=30, wrap=True))
_ROLES = {
    AddressKind.GUARD: Role.WARNING,
    AddressKind.CACHED_STACK: Role.WARNING,
    AddressKind.UNMAPPED: Role.ERROR,
}


def whatis_table(answers: Iterable[WhatIs]) -> Table:
    """One row an address."""
    rows = tuple(
        Row(
            f"address:{answer.address:x}",
            (
                address_cell(answer.address),
                Cell(answer.kind.value.replace("_", " "), _ROLES.get(answer.kind, Role.PLAIN)),
                Cell(answer.words),
                source_cell(answer.source),
            ),
            () if answer.tid is None else (answer.tid,),
        )
        for answer in answers
    )
    return Table("whatis", "What is there", _COLUMNS, rows, "no address was given")


def whatis_facts_table(answer: WhatIs) -> Table:
    """Every fact known of one address."""
    facts = [(name, value) for name, value in _facts(answer) if value is not None]
    facts += [("", detail) for detail in answer.details]
    rows = tuple(Row(f"fact:{index}", (Cell(name, Role.DIM), Cell(value))) for index, (name, value) in enumerate(facts))
    return Table("whatis", answer.words, _FACT_COLUMNS, rows)


def _facts(answer: WhatIs) -> Iterable[tuple[str, str | None]]:
    region = answer.region
    yield "address", address_words(answer.address)
    line = f":{answer.line}" if answer.line is not None else ""
    yield "thread", None if answer.tid is None else f"{answer.tid} {answer.thread_name or ''}".rstrip()
    yield "frame", None if answer.frame is None else f"{answer.frame} {function_words(answer.function)}"
    yield "variable", answer.variable
    yield "symbol", None if answer.symbol is None else function_words(answer.symbol, answer.symbol_offset)
    yield "source", None if answer.file is None else f"{answer.file}{line}"
    yield "module", None if answer.module is None else file_name(answer.module)
    yield "section", answer.section
    yield "lies in", None if region is None else f"{_edges(region.low, region.high)}, {size_words(region.size)}"
    yield "offset", None if answer.offset is None else f"{answer.offset:#x}"
    yield "rights", answer.permissions


def _edges(low: int, high: int) -> str:
    return f"{address_words(low)}–{address_words(high)}"
