"""The report again and again: on a terminal in place with changes marked, elsewhere one after the other."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinspect.cli.arguments import view_options
from tinspect.cli.context import Context
from tinspect.cli.show import report_lines, report_status, show_report
from tinspect.cli.terminal import Terminal
from tinspect.errors import TargetLost, TargetNotFound

if TYPE_CHECKING:
    from tinspect.model.options import AttachOptions
    from tinspect.model.report import ProcessReport
    from tinspect.views.span import Line
    from tinspect.views.table import Table

_ENTER = "\x1b[?1049h\x1b[?25l"  # the alternate screen, without a cursor (xterm control sequences)
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(arguments: argparse.Namespace, options: AttachOptions, context: Context) -> int:
    """Reports until Ctrl-C or the end of the process; the status of the last report. Raises TinspectError when the first fails."""
    if arguments.json or not context.output.isatty():
        return _watch_as_stream(arguments, options, context)
    return _watch_in_place(arguments, options, context)


def _reports(arguments: argparse.Namespace, options: AttachOptions, context: Context) -> Iterator[ProcessReport]:
    """A report every so often; ends when the process does, but for the first time."""
    from tinspect.model.options import no_progress

    session = context.services.session()
    with context.progress() as progress:
        yield session.attach_report(arguments.pid, options, progress.tell)
    while True:
        time.sleep(arguments.watch)
        try:
            yield session.attach_report(arguments.pid, options, no_progress)
        except (TargetNotFound, TargetLost):
            return


def _watch_as_stream(arguments: argparse.Namespace, options: AttachOptions, context: Context) -> int:
    status = 0
    for report in _reports(arguments, options, context):
        status = show_report(report, options.sections, arguments, context)
    context.say(f"process {arguments.pid} has ended.")
    return status


def _watch_in_place(arguments: argparse.Namespace, options: AttachOptions, context: Context) -> int:
    from tinspect.views.changes import mark_changes
    from tinspect.views.report import report_tables

    terminal = context.terminal(arguments)
    view = view_options(arguments)
    status = 0
    before: tuple[Table, ...] = ()
    with _screen(terminal) as draw:
        for report in _reports(arguments, options, context):
            now = report_tables(report, options.sections, view)
            marked = mark_changes(before, now) if before else now
            draw(list(report_lines(report, marked, terminal, options.sections)))
            before, status = now, report_status(report)
    context.say(f"process {arguments.pid} has ended.")
    return status


@contextmanager
def _screen(terminal: Terminal) -> Iterator[Callable[[list[Line]], None]]:
    """The alternate screen, left again however it ends; the last picture then stays on the ordinary one. The function draws as many
    lines as fit."""
    stream = terminal.stream
    picture: list[str] = []

    def draw(lines: list[Line]) -> None:
        rows = terminal.size[1]
        picture[:] = terminal.paint(lines[: rows - 1])
        drawn = "".join(f"{line}{_CLEAR_LINE}\r\n" for line in picture)
        stream.write(f"{_HOME}{drawn}{_footer(lines, rows)}{_CLEAR_BELOW}")
        stream.flush()

    stream.write(_ENTER)
    try:
        yield draw
    finally:
        stream.write(_LEAVE + "".join(f"{line}\n" for line in picture))
        stream.flush()


def _footer(lines: list[Line], rows: int) -> str:
    hidden = len(lines) - (rows - 1)
    more = f"  {hidden} more lines: --only SECTIONS, or tinspect tui" if hidden > 0 else ""
    return f"{time.strftime('%H:%M:%S')}  Ctrl-C ends{more}{_CLEAR_LINE}"
