"""A whole report as tables, section by section."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport
from tinspect.views.altstacks import altstacks_table
from tinspect.views.crash import crash_tables
from tinspect.views.findings import findings_table, incomplete_table
from tinspect.views.frames import frames_tables
from tinspect.views.grouping import ThreadGroup, thread_groups
from tinspect.views.guards import guards_table
from tinspect.views.locks import locks_tables
from tinspect.views.options import DEFAULT_VIEW, ViewOptions
from tinspect.views.process import process_tables
from tinspect.views.refs import refs_tables
from tinspect.views.scopes import scopes_table
from tinspect.views.stacks import stacks_table
from tinspect.views.table import Table
from tinspect.views.threads import threads_table
from tinspect.views.tls import tls_tables

_PER_THREAD: dict[Section, Callable[[ProcessReport, ViewOptions, Sequence[ThreadGroup] | None], Table]] = {
    Section.THREADS: threads_table,
    Section.STACKS: stacks_table,
    Section.GUARDS: guards_table,
    Section.ALTSTACKS: altstacks_table,
}
_OTHERS: dict[Section, Callable[[ProcessReport, ViewOptions], tuple[Table, ...]]] = {
    Section.TLS: tls_tables,
    Section.REFS: refs_tables,
    Section.LOCKS: locks_tables,
    Section.SCOPES: lambda report, _: (scopes_table(report),),
    Section.PROCESS: process_tables,
    Section.FINDINGS: lambda report, _: (findings_table(report),),
}


def section_tables(
    report: ProcessReport,
    section: Section,
    options: ViewOptions = DEFAULT_VIEW,
    groups: Sequence[ThreadGroup] | None = None,
) -> tuple[Table, ...]:
    """The tables of one section. ``groups`` are the alike threads, where the caller found them already."""
    if section in _PER_THREAD:
        return (_PER_THREAD[section](report, options, groups),)
    return _OTHERS[section](report, options)


def report_tables(
    report: ProcessReport, sections: Collection[Section] = ALL_SECTIONS, options: ViewOptions = DEFAULT_VIEW
) -> tuple[Table, ...]:
    """All tables of the chosen sections in their order: the crash first, gaps last."""
    tables = list(crash_tables(report))
    groups = thread_groups(report, options)
    for section in Section:
        if section in sections:
            tables += section_tables(report, section, options, groups)
            if section is Section.THREADS and options.frames:
                tables += frames_tables(report)
    return (*tables, *((incomplete_table(report),) if report.incomplete else ()))
