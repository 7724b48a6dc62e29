"""Who points into whose stack: the matrix of threads, and the references one by one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeAlias

from tinspect.model.reference import Confidence, PlaceKind, StackReference, Verdict
from tinspect.model.report import ProcessReport
from tinspect.views.grouping import grouped
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.table import NOTHING, Align, Cell, Column, LegendEntry, Role, Row, Table, without_empty_columns
from tinspect.views.words import address_cell, count_words, function_words

MATRIX_LIMIT = 64
"""Threads a matrix shows at most in each direction; those with the worst and most references come first."""

VERDICT_ROLES = {
    Verdict.DECLARED: Role.GOOD,
    Verdict.LIVE: Role.NOTE,
    Verdict.GUARD: Role.ERROR,
    Verdict.DANGLING_FRAME: Role.ERROR,
    Verdict.DANGLING_THREAD: Role.ERROR,
}
VERDICT_WORDS = {
    Verdict.DECLARED: "declared",
    Verdict.LIVE: "live",
    Verdict.GUARD: "guard",
    Verdict.DANGLING_FRAME: "frame is gone",
    Verdict.DANGLING_THREAD: "thread is gone",
}
VERDICT_LEGEND = (
    LegendEntry("declared", Role.GOOD, "by a loan"),
    LegendEntry("live", Role.NOTE, "into an active frame"),
    LegendEntry("gone", Role.ERROR, "returned, ended, or a guard"),
)
_ORDER = tuple(Verdict)
_CONFIDENCES = {Confidence.HIGH: 2, Confidence.MEDIUM: 1, Confidence.LOW: 0}

End: TypeAlias = int | str
"""One end of a reference: a tid, or the word for what is no thread."""

_COLUMNS = (
    Column("verdict", "VERDICT"),
    Column("from", "FROM", min_width=8),
    Column("place", "PLACE", priority=1, min_width=16),
    Column("value", "POINTS TO"),
    Column("to", "OF", min_width=8),
    Column("target", "TARGET", priority=2, min_width=12),
    Column("confidence", "SURE", priority=3),
    Column("count", "", Align.RIGHT),
    Column("access", "", priority=5),
    Column("reasons", "BECAUSE", priority=6, min_width=12),
    Column("origin", "LIBC'S OWN", priority=4, min_width=10),
)


def refs_tables(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The matrix where there is more than one pair of threads, and the list."""
    listing = list_table(report, options)
    matrix = matrix_table(report, options)
    return (matrix, listing) if len(matrix.rows) > 1 or len(matrix.columns) > 2 else (listing,)


def shown_references(report: ProcessReport, options: ViewOptions) -> tuple[StackReference, ...]:
    """All references, or all but those that libc itself keeps."""
    if options.libc_references:
        return report.references
    return tuple(reference for reference in report.references if reference.origin is None)


def source_end(reference: StackReference) -> End:
    """Who holds the word: a tid, "heap" or "global"."""
    return reference.from_tid if reference.from_tid is not None else reference.place.kind.value


def target_end(reference: StackReference) -> End:
    """Whose stack it points into: a tid, or "gone"."""
    return reference.to_tid if reference.to_tid is not None else "gone"


def worst_verdict(references: Sequence[StackReference]) -> Verdict:
    """The worst of some references' verdicts."""
    return max((reference.verdict for reference in references), key=_ORDER.index)


def matrix_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """Rows point, columns are pointed to; a cell counts, its role tells the worst verdict."""
    references = shown_references(report, options)
    pairs: dict[tuple[End, End], list[StackReference]] = {}
    for reference in references:
        pairs.setdefault((source_end(reference), target_end(reference)), []).append(reference)
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    sources = _ranked(pairs, 0)
    targets = _ranked(pairs, 1)
    shown_sources = _in_order(sources[:MATRIX_LIMIT])
    shown_targets = _in_order(targets[:MATRIX_LIMIT])
    ranks = {target: rank for rank, target in enumerate(targets)}
    columns = (
        Column("from", "FROM \\ TO", min_width=10),
        *(Column(f"to:{end}", str(end), Align.RIGHT, priority=ranks[end]) for end in shown_targets),
    )
    rows = tuple(
        Row(
            f"from:{source}",
            (_end_cell(source, names), *(_count_cell(pairs.get((source, target), [])) for target in shown_targets)),
            (source,) if isinstance(source, int) else (),
        )
        for source in shown_sources
    )
    hidden = len(sources) + len(targets) - len(shown_sources) - len(shown_targets)
    notes = (
        (f"{count_words(hidden, 'thread')} with fewer references left out here; the list has them.",) if hidden else ()
    )
    title = "References into other threads' stacks: who points into whom"
    return Table("refs", title, columns, rows, "none", notes, VERDICT_LEGEND, tell_dropped=True)


def _ranked(pairs: dict[tuple[End, End], list[StackReference]], side: int) -> list[End]:
    weights: dict[End, tuple[int, int]] = {}
    for pair, references in pairs.items():
        worst, count = weights.get(pair[side], (0, 0))
        weights[pair[side]] = (max(worst, _ORDER.index(worst_verdict(references))), count + len(references))
    return sorted(weights, key=lambda end: weights[end], reverse=True)


def _in_order(ends: list[End]) -> list[End]:
    return sorted(ends, key=lambda end: (isinstance(end, str), end if isinstance(end, int) else 0, str(end)))


def _end_cell(end: End, names: dict[int, str]) -> Cell:
    if isinstance(end, str):
        return Cell(end, Role.DIM)
    return Cell(f"{end} {names.get(end, '')}".rstrip(), Role.NAME, sort=end)


def _count_cell(references: Sequence[StackReference]) -> Cell:
    if not references:
        return Cell("·", Role.DIM, sort=0)
    return Cell(str(len(references)), VERDICT_ROLES[worst_verdict(references)], sort=len(references))


def list_table(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Table:
    """The references grouped by source and target, worst first."""
    references = shown_references(report, options)
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    groups = sorted(grouped(references, _likeness), key=_badness)
    rows = tuple(Row(f"ref:{index}", _cells(group, names), _tids(group[0])) for index, group in enumerate(groups))
    folded = len(report.references) - len(references)
    words = f"{count_words(folded, 'pointer')} that libc itself keeps {'is' if folded == 1 else 'are'} folded away"
    notes = (f"{words}{options.hint('--libc-refs shows them')}.",) if folded else ()
    table = Table(
        "refs", f"References: {len(references):,}", _COLUMNS, rows, "no thread points into another's stack", notes
    )
    return without_empty_columns(table, ("count", "access", "reasons", "origin", "place", "target"))


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
        _end_cell(source_end(first), names),
        Cell(place_words(first)),
        address_cell(first.value),
        _end_cell(target_end(first), names),
        Cell(target_words(first), Role.CODE),
        Cell(first.confidence.value, Role.PLAIN if first.confidence is Confidence.HIGH else Role.GUESS),
        Cell(f"×{len(group)}", Role.DIM, sort=len(group)) if len(group) > 1 else NOTHING,
        Cell("writable", Role.DIM) if first.writable else NOTHING,
        Cell("; ".join(reason for reason in first.reasons), Role.DIM) if first.reasons else NOTHING,
        Cell(first.origin, Role.DIM) if first.origin else NOTHING,
    )


def place_words(reference: StackReference) -> str:
    """Where the word stands: "rdi", "frame 2 of worker at 0x7f…", "heap at 0x55…"."""
    place = reference.place
    if place.kind is PlaceKind.REGISTER:
        return place.register or "register"
    at = f" at {place.address:#x}" if place.address is not None else ""
    if place.kind is PlaceKind.STACK and place.frame is not None:
        function = f" in {place.function}" if place.function else ""
        return f"frame {place.frame}{function}{at}"
    symbol = f" {place.symbol}" if place.symbol else ""
    return f"{place.kind.value}{symbol}{at}"


def target_words(reference: StackReference) -> str:
    """What it points to: "counter in main", "frame 3 main+0x28", "guard", "cached stack", a scope's loan."""
    target = reference.target
    scope = f", lent to scope {reference.scope}" if reference.scope is not None else ""
    if target.variable is not None:
        return f"{target.variable} in {function_words(target.function)}{scope}"
    if target.frame is not None:
        return f"frame {target.frame} {function_words(target.function, target.offset)}{scope}"
    return target.region.replace("_", " ") + scope
