"""Shows a report, or tables, the way the arguments want it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from tinspect.cli.arguments import view_options
from tinspect.cli.context import Context
from tinspect.cli.terminal import Terminal

if TYPE_CHECKING:
    from tinspect.formats.json_codec import Json
    from tinspect.model.options import Section
    from tinspect.model.report import ProcessReport
    from tinspect.views.span import Line
    from tinspect.views.table import Table

COMPLETE, GAPS = 0, 1
"""Exit statuses of a report."""


def show_report(
    report: ProcessReport, sections: Collection[Section], arguments: argparse.Namespace, context: Context
) -> int:
    """Writes the report to standard output; the exit status."""
    if arguments.json:
        from tinspect.formats.report_json import to_json

        write_json(to_json(report), context.output)
    else:
        from tinspect.views.report import report_tables

        terminal = context.terminal(arguments)
        tables = report_tables(report, sections, view_options(arguments))
        terminal.write(report_lines(report, tables, terminal, sections))
    return report_status(report)


def report_status(report: ProcessReport) -> int:
    """0 when all was learnt, 1 when there are gaps."""
    return GAPS if report.incomplete else COMPLETE


def report_lines(
    report: ProcessReport, tables: Iterable[Table], terminal: Terminal, sections: Collection[Section]
) -> Iterator[Line]:
    """The summary, the tables, and what the colours mean."""
    from tinspect.views.ascii import ascii_line
    from tinspect.views.summary import summary_lines

    for line in summary_lines(report, sections):
        yield line if terminal.unicode else ascii_line(line)
    yield from tables_lines(tables, terminal)
    if terminal.colour:
        yield ()
        yield colour_legend()


def tables_lines(tables: Iterable[Table], terminal: Terminal) -> Iterator[Line]:
    """The tables one under the other, a blank line before each."""
    from tinspect.views.layout import table_lines

    width = terminal.width
    for table in tables:
        yield ()
        yield from table_lines(table, width, terminal.unicode)


def colour_legend() -> Line:
    """What the colours mean."""
    from tinspect.views.span import Span
    from tinspect.views.table import Role

    roles = (Role.ERROR, Role.WARNING, Role.NOTE, Role.GOOD, Role.GUESS)
    spans = [span for role in roles for span in (Span(role.value, role), Span("  "))]
    return (Span("colours: ", Role.DIM), *spans)


def show_tables(tables: Iterable[Table], arguments: argparse.Namespace, context: Context) -> None:
    """Writes tables to standard output."""
    terminal = context.terminal(arguments)
    lines = list(tables_lines(tables, terminal))
    terminal.write(lines[1:])


def write_json(data: Json, stream: TextIO) -> None:
    """One JSON document: indented for a person at a terminal, one line for a program."""
    # Without an indent dumps() encodes in C; dump() always does in Python.
    stream.write(json.dumps(data, indent=2 if stream.isatty() else None) + "\n")
    stream.flush()
