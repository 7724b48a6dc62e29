"""One refresh: the report with what is derived from it once, off the event loop, so that drawing and keys stay quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tinspect.model.reference import StackReference
from tinspect.model.report import ProcessReport, Severity, ThreadReport
from tinspect.views.grouping import ThreadGroup, thread_groups, worst_severities
from tinspect.views.options import ViewOptions
from tinspect.views.registers import Places
from tinspect.views.threads import is_elsewhere, place_cell
from tinspect.views.width import display_width

HISTORY = 60
"""Refreshes whose use of the stack is remembered for each thread."""

EACH = ViewOptions(group_over=0)
ALIKE = ViewOptions(group_over=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """A report and its index. ``clock`` is the local time it was taken at ("14:03:59"), ``cost_us`` how long making it took, in µs.

    ``words`` is each thread's text for the filter, in lower case; ``widths`` the widest text of the list's free columns, in cells, 0 where
    there is none;
    ``history`` each living thread's used bytes, oldest first, None where they were not known.
    """

    number: int
    clock: str
    cost_us: int
    report: ProcessReport
    threads: Mapping[int, ThreadReport]
    names: dict[int, str]
    severities: Mapping[int, Severity]
    groups: tuple[ThreadGroup, ...]
    words: Mapping[int, str]
    widths: Mapping[str, int]
    places: Places
    references_out: Mapping[int, tuple[StackReference, ...]] = field(default_factory=dict)
    references_in: Mapping[int, tuple[StackReference, ...]] = field(default_factory=dict)
    history: Mapping[int, tuple[int | None, ...]] = field(default_factory=dict)


def make_moment(report: ProcessReport, before: Moment | None = None, clock: str = "", cost_us: int = 0) -> Moment:
    """The moment of ``report``, which follows ``before``."""
    threads = {entry.thread.tid: entry for entry in report.threads}
    names = {tid: entry.thread.name for tid, entry in threads.items()}
    words = {tid: _words(entry) for tid, entry in threads.items()}
    own = [reference for reference in report.references if reference.origin is None]
    return Moment(
        number=before.number + 1 if before else 1,
        clock=clock,
        cost_us=cost_us,
        report=report,
        threads=threads,
        names=names,
        severities=worst_severities(report),
        groups=thread_groups(report, ALIKE),
        words=words,
        widths=_widths(threads, names),
        places=Places(report),
        references_out=_by_tid((reference.from_tid, reference) for reference in own),
        references_in=_by_tid((reference.to_tid, reference) for reference in own),
        history={tid: _extended(before, tid, entry) for tid, entry in threads.items()},
    )


def sub_report(moment: Moment, tids: Iterable[int]) -> ProcessReport:
    """The report with the threads ``tids`` alone; all else stays."""
    return replace(moment.report, threads=tuple(moment.threads[tid] for tid in tids if tid in moment.threads))


def used_bytes(entry: ThreadReport) -> int | None:
    """Bytes of its stack that a thread uses now."""
    return entry.use.used if entry.use else None


def _extended(before: Moment | None, tid: int, entry: ThreadReport) -> tuple[int | None, ...]:
    earlier = before.history.get(tid, ()) if before else ()
    return (*earlier[1 - HISTORY :], used_bytes(entry))


def _words(entry: ThreadReport) -> str:
    thread = entry.thread
    parts = (str(thread.tid), thread.name, thread.state, place_cell(entry).text, entry.start_routine or "")
    functions = (frame.function or "" for frame in entry.call_stack.frames) if entry.call_stack else ()
    return "\n".join((*parts, *functions)).lower()


def _widths(threads: Mapping[int, ThreadReport], names: Mapping[int, str]) -> dict[str, int]:
    places = {place_cell(entry).text for entry in threads.values()}
    return {
        "tid": len(str(max(threads, default=0))),
        "name": max(map(display_width, {*names.values()}), default=0),
        "state": max((len(entry.thread.state) for entry in threads.values()), default=0),
        "at": max(map(display_width, places), default=0),
        "on": 8 if any(map(is_elsewhere, threads.values())) else 0,
        "waits": 24 if any(entry.waits_for for entry in threads.values()) else 0,
    }


def _by_tid(pairs: Iterable[tuple[int | None, StackReference]]) -> dict[int, tuple[StackReference, ...]]:
    found: dict[int, list[StackReference]] = {}
    for tid, reference in pairs:
        if tid is not None:
            found.setdefault(tid, []).append(reference)
    return {tid: tuple(references) for tid, references in found.items()}
