"""The thread × thread matrix of references: who points into whose stack, how often, and the worst verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tinspect.model.reference import StackReference, Verdict
from tinspect.model.report import ProcessReport
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.table import Align, Cell, Column, LegendEntry, Role, Row, Table
from tinspect.views.words import count_words

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
    LegendEntry("gone", Role.ERROR, "returned or ended"),
)
_ORDER = tuple(Verdict)

End: TypeAlias = int | str
"""One end of a reference: a tid, or the word for what is no thread ("heap", "global", "gone")."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts and worst verdicts by source and target. ``sources`` and ``targets`` are those shown, in order; ``target_ranks`` tells which
    of the targets matter most (0 first); ``hidden`` how many ends are left out."""

    sources: tuple[End, ...]
    targets: tuple[End, ...]
    counts: Mapping[tuple[End, End], tuple[int, Verdict]]
    target_ranks: Mapping[End, int]
    hidden: int = 0


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


def worse(first: Verdict, second: Verdict) -> Verdict:
    """The worse of two verdicts."""
    return max(first, second, key=_ORDER.index)


def reference_matrix(report: ProcessReport, options: ViewOptions = DEFAULT_VIEW) -> Matrix:
    """The matrix of the shown references."""
    counts: dict[tuple[End, End], tuple[int, Verdict]] = {}
    for reference in shown_references(report, options):
        pair = source_end(reference), target_end(reference)
        count, worst = counts.get(pair, (0, Verdict.DECLARED))
        counts[pair] = count + 1, worse(worst, reference.verdict)
    sources, targets = _ranked(counts, 0), _ranked(counts, 1)
    hidden = max(len(sources) - MATRIX_LIMIT, 0) + max(len(targets) - MATRIX_LIMIT, 0)
    ranks = {target: rank for rank, target in enumerate(targets)}
    return Matrix(_in_order(sources[:MATRIX_LIMIT]), _in_order(targets[:MATRIX_LIMIT]), counts, ranks, hidden)


def _ranked(counts: Mapping[tuple[End, End], tuple[int, Verdict]], side: int) -> list[End]:
    weights: dict[End, tuple[int, int]] = {}
    for pair, (count, verdict) in counts.items():
        worst, total = weights.get(pair[side], (0, 0))
        weights[pair[side]] = max(worst, _ORDER.index(verdict)), total + count
    return sorted(weights, key=lambda end: weights[end], reverse=True)


def _in_order(ends: Sequence[End]) -> tuple[End, ...]:
    """Threads by number, then the rest."""
    return tuple(sorted(ends, key=lambda end: (isinstance(end, str), end if isinstance(end, int) else 0, str(end))))


def end_words(end: End, names: Mapping[int, str]) -> str:
    """A tid with its name, or the word."""
    return end if isinstance(end, str) else f"{end} {names.get(end, '')}".rstrip()


def end_cell(end: End, names: Mapping[int, str]) -> Cell:
    """One end of a reference."""
    return Cell(end, Role.DIM) if isinstance(end, str) else Cell(end_words(end, names), Role.NAME, sort=end)


def matrix_table(report: ProcessReport, matrix: Matrix) -> Table:
    """Rows point, columns are pointed to; a cell counts, its role tells the worst verdict."""
    names = {entry.thread.tid: entry.thread.name for entry in report.threads}
    columns = (
        Column("from", "FROM \\ TO", min_width=10),
        *(Column(f"to:{end}", str(end), Align.RIGHT, priority=matrix.target_ranks[end]) for end in matrix.targets),
    )
    rows = tuple(
        Row(
            f"from:{source}",
            (end_cell(source, names), *(_count_cell(matrix, source, target) for target in matrix.targets)),
            (source,) if isinstance(source, int) else (),
        )
        for source in matrix.sources
    )
    hidden = count_words(matrix.hidden, "thread")
    notes = (f"{hidden} with fewer references left out here; the list has them.",) if matrix.hidden else ()
    title = "References into other threads' stacks: who points into whom"
    return Table("refs", title, columns, rows, "none", notes, VERDICT_LEGEND, tell_dropped=True)


def _count_cell(matrix: Matrix, source: End, target: End) -> Cell:
    found = matrix.counts.get((source, target))
    if found is None:
        return Cell("·", Role.DIM, sort=0)
    count, verdict = found
    return Cell(str(count), VERDICT_ROLES[verdict], sort=count)
