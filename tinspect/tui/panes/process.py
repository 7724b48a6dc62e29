"""The panes about the whole process. On a big one they take a while to make: the application makes them on its second thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinspect.model.report import ProcessReport
from tinspect.model.whatis import WhatIs
from tinspect.tui.moment import Moment
from tinspect.tui.panes.content import Content, table_content, text_content, thread_links
from tinspect.tui.panes.kinds import Pane
from tinspect.tui.panes.map import map_content
from tinspect.views.compare import compare_table
from tinspect.views.crash import crash_tables
from tinspect.views.findings import findings_table, incomplete_table
from tinspect.views.locks import locks_tables
from tinspect.views.matrix import matrix_table, reference_matrix
from tinspect.views.options import DEFAULT_VIEW
from tinspect.views.process import cached_table, facts_table, handlers_table, modules_table
from tinspect.views.refs import list_table
from tinspect.views.scopes import scopes_table
from tinspect.views.span import Line, Span
from tinspect.views.table import Role, Table
from tinspect.views.tls import keys_table
from tinspect.views.whatis import whatis_facts_table


@dataclass(frozen=True, slots=True)
class Whole:
    """What panes about the process are made of. ``earlier`` is what changes are told against, ``held`` the moment that was kept for
    comparison, ``answer`` what was last asked."""

    moment: Moment
    earlier: Moment | None = None
    held: Moment | None = None
    answer: WhatIs | None = None


def process_content(pane: Pane, whole: Whole) -> Content:
    """What stands in a pane about the process."""
    if pane is Pane.MAP:
        return map_content(whole.moment.report)
    if pane is Pane.COMPARE:
        return _compare(whole)
    if pane is Pane.WHATIS:
        return _whatis(whole)
    before = _tables(pane, whole.earlier.report) if whole.earlier else None
    return table_content(_tables(pane, whole.moment.report), thread_links, before)


def _tables(pane: Pane, report: ProcessReport) -> Sequence[Table]:
    if pane is Pane.PROCESS:
        rest = (keys_table(report), handlers_table(report), cached_table(report), modules_table(report))
        return [facts_table(report.target, report.limits), *(table for table in rest if table.rows)]
    if pane is Pane.MATRIX:
        listing = list_table(report, DEFAULT_VIEW)
        return [matrix_table(report, reference_matrix(report)), listing]
    if pane is Pane.LOCKS:
        return [*locks_tables(report, DEFAULT_VIEW), scopes_table(report)]
    gaps = [incomplete_table(report)] if report.incomplete else []
    return [*crash_tables(report), findings_table(report), *gaps]


def _compare(whole: Whole) -> Content:
    if whole.held is None:
        return text_content(
            _words("Nothing to compare with: press h to hold this moment, and look again after a refresh.")
        )
    table = compare_table(whole.held.report, whole.moment.report)
    since = text_content((Span(f"Held at {whole.held.clock}, now {whole.moment.clock}", Role.DIM),))
    content = table_content([table], thread_links)
    return Content((*since.entries, *content.entries), content.tables)


def _whatis(whole: Whole) -> Content:
    if whole.answer is None:
        return text_content(_words("Press w and type an address or the name of a register."))
    return table_content([whatis_facts_table(whole.answer)])


def _words(text: str) -> Line:
    return (Span(text, Role.DIM),)
