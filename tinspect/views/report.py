"""A whole report as tables, section by section."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from tinspect.model.options import ALL_SECTIONS, Section
from tinspect.model.report import ProcessReport
from tinspect.views.altstacks import altstacks_table
from tinspect.views.crash import crash_tables
from tinspect.views.findings import findings_table, incomplete_table
from tinspect.views.frames import frames_tables
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

_View: TypeAlias = Callable[[ProcessReport, ViewOptions], tuple[Table, ...]]


def _alone(view: Callable[[ProcessReport, ViewOptions], Table]) -> _View:
    return lambda report, options: (view(report, options),)


_SECTIONS: dict[Section, _View] = {
    Section.THREADS: _alone(threads_table),
    Section.STACKS: _alone(stacks_table),
    Section.GUARDS: _alone(guards_table),
    Section.ALTSTACKS: _alone(altstacks_table),
    Section.TLS: tls_tables,
    Section.REFS: refs_tables,
    Section.LOCKS: locks_tables,
    Section.SCOPES: lambda report, _: (scopes_table(report),),
    Section.PROCESS: process_tables,
    Section.FINDINGS: lambda report, _: (findings_table(report),),
}


def section_tables(report: ProcessReport, section: Section, options: ViewOptions = DEFAULT_VIEW) -> tuple[Table, ...]:
    """The tables of one section."""
    return _SECTIONS[section](report, options)


def report_tables(
    report: ProcessReport, sections: Collection[Section] = ALL_SECTIONS, options: ViewOptions = DEFAULT_VIEW
) -> tuple[Table, ...]:
    """All tables of the chosen sections in their order: the crash first, gaps last."""
    tables = list(crash_tables(report))
    for section in Section:
        if section in sections:
            tables += section_tables(report, section, options)
            if section is Section.THREADS and options.frames:
                tables += frames_tables(report)
    return (*tables, *((incomplete_table(report),) if report.incomplete else ()))
