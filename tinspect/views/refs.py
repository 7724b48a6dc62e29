"""Who points into whose stack: the references one by one, and the whole section with its matrix."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from tinspect.model.reference import Confidence, PlaceKind, StackReference, Verdict
from tinspect.model.report import ProcessReport
from tinspect.views.grouping import grouped, one_address_cell
from tinspect.views.matrix import (
    VERDICT_ROLES,
    VERDICT_WORDS,
    end_cell,
    matrix_table,
    reference_matrix,
    shown_references,
    source_end,
    target_end,
)
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.table import NOTHING, Align, Cell, Column, Role, Row, Table, without_empty_columns
from tinspect.views.words import address_cell, count_words, function_words

_ORDER = tuple(Verdict)
_CONFIDENCES = {Confidence.HIGH: 2, Confidence.MEDIUM: 1, Confidence.LOW: 0}

_COLUMNS = (
    Column("verdict", "VERDICT"),
    Column("from", "FROM", min_width=8),
    Column("place", "PLACE", priority=1, min_width=12),
    Column("at", "AT", priority=5),
    Column("value", "POINTS TO"),
    Column("to", "OF", min_width=8),
    Column("target", "TARGET", priority=2, min_width=12),
    Column("confidence", "SURE", priority=3),
    Column("count", "", Align.RIGHT),
    Column("access", "", priority=6),
    Column("reasons", "BECAUSE", priority=7, min_width=12),
    Column("origin", "LIBC'S OWN", priority=4, min_width=10),
)


def refs_tables(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The matrix where there is more than one pair of threads, and the list."""
    listing = list_table(report, options)
    matrix = reference_matrix(report, options)
    return (matrix_table(report, matrix), listing) if len(matrix.counts) > 1 else (listing,)


def list_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """The references grouped by source and target, worst first."""
    references = shown_references(report, options)
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    groups = reference_groups(references)
    rows = tuple(Row(f"ref:{index}", _cells(group, names), _tids(group[0])) for index, group in enumerate(groups))
    folded = len(report.references) - len(references)
    words = f"{count_words(folded, 'pointer')} that libc itself keeps {'is' if folded == 1 else 'are'} folded away"
    notes = (f"{words}{options.hint('--libc-refs shows them')}.",) if folded else ()
    table = Table(
        "refs", f"References: {len(references):,}", _COLUMNS, rows, "no thread points into another's stack", notes
    )
    return without_empty_columns(table, ("at", "count", "access", "reasons", "origin", "place", "target"))


def reference_groups(references: Iterable[StackReference]) -> list[list[StackReference]]:
    """The references in the order and groups of the list's rows."""
    return sorted(grouped(references, _likeness), key=_badness)


def _likeness(reference: StackReference) -> Hashable:
    place, target = reference.place, reference.target
    return (
        reference.verdict,
        source_end(reference),
        target_end(reference),
        (place.kind, place.function or place.symbol, place.frame, place.register),
        (target.region, target.frame, target.function, target.variable, target.offset),
        reference.origin,
    )


def _badness(group: list[StackReference]) -> tuple[int, int]:
    first = group[0]
    return -_ORDER.index(first.verdict), -max(_CONFIDENCES[reference.confidence] for reference in group)


def _tids(reference: StackReference) -> tuple[int, ...]:
    return tuple(tid for tid in (reference.from_tid, reference.to_tid) if tid is not None)


def _cells(group: list[StackReference], names: dict[int, str]) -> tuple[Cell, ...]:
    first = max(group, key=lambda reference: _CONFIDENCES[reference.confidence])
    return (
        Cell(VERDICT_WORDS[first.verdict], VERDICT_ROLES[first.verdict], sort=_ORDER.index(first.verdict)),
        end_cell(source_end(first), names),
        Cell(place_words(first)),
        one_address_cell(each.place.address or 0 for each in group) if first.place.address is not None else NOTHING,
        address_cell(first.value),
        end_cell(target_end(first), names),
        Cell(target_words(first), Role.CODE),
        Cell(first.confidence.value, Role.PLAIN if first.confidence is Confidence.HIGH else Role.GUESS),
        Cell(f"×{len(group)}", Role.DIM, sort=len(group)) if len(group) > 1 else NOTHING,
        Cell("writable", Role.DIM) if first.writable else NOTHING,
        Cell("; ".join(reason for reason in first.reasons), Role.DIM) if first.reasons else NOTHING,
        Cell(first.origin, Role.DIM) if first.origin else NOTHING,
    )


def place_words(reference: StackReference) -> str:
    """What holds the word: "rdi", "worker #2" (function and frame), "heap", "global list_head"."""
    place = reference.place
    if place.kind is PlaceKind.REGISTER:
        return place.register or "register"
    if place.kind is PlaceKind.STACK and place.frame is not None:
        return f"{place.function} #{place.frame}" if place.function else f"frame {place.frame}"
    return f"{place.kind.value} {place.symbol or ''}".rstrip()


def target_words(reference: StackReference) -> str:
    """What it points to: "counter in main", "main+0x28 #3" (function and frame), "guard", "cached stack", a scope's loan."""
    target = reference.target
    scope = f" [scope {reference.scope}]" if reference.scope is not None else ""
    if target.variable is not None:
        return f"{target.variable} in {function_words(target.function)}{scope}"
    if target.frame is not None:
        if target.function is None:
            return f"frame {target.frame}{scope}"
        return f"{function_words(target.function, target.offset)} #{target.frame}{scope}"
    return target.region.replace("_", " ") + scope
