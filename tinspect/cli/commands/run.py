"""tinspect run -- CMD [ARG...]: starts a program, and reports when it dies by a signal, or on request."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tinspect.cli.arguments import (
    add_live_arguments,
    add_look_arguments,
    add_scan_arguments,
    attach_options,
    seconds,
)
from tinspect.cli.context import Context
from tinspect.cli.problems import problem_words
from tinspect.errors import TinspectError, UsageError

if TYPE_CHECKING:
    from tinspect.model.options import AttachOptions
    from tinspect.model.report import ProcessReport

NAME = "run"
HELP = "start a program; report when it dies by a signal, or on request"
DESCRIPTION = (
    "Starts a program with this terminal and these signals. When it dies by a signal, or when you ask for it, its report is "
    "written to standard error or to a file; standard output stays the program's own. Ends with the program's status, whatever "
    "becomes of the report."
)


def signal_number(text: str) -> int:
    """A signal by name (SEGV, SIGSEGV) or number."""
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    known = {member.name: member.value for member in signal.Signals}
    number = int(text) if text.isascii() and text.isdigit() else known.get(name, 0)
    if not 0 < number <= signal.SIGRTMAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a signal")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("command", metavar="-- CMD [ARG...]", nargs=argparse.REMAINDER, help="the program to start")
    parser.add_argument(
        "--on",
        metavar="SIGNAL",
        type=signal_number,
        action="append",
        help="report when it gets this signal too; may be repeated",
    )
    parser.add_argument("--after", metavar="SECONDS", type=seconds, help="report once it has run so long")
    parser.add_argument("-o", "--output", metavar="FILE", help="keep a snapshot (an ELF core) instead of a report")
    parser.add_argument("--report", metavar="FILE", help="write reports to this file instead of standard error")
    parser.add_argument("--json", action="store_true", help="reports as JSON, one a line; needs --report")
    parser.add_argument("--no-color", action="store_true", help="no colours (so do NO_COLOR and CLICOLOR=0)")
    parser.add_argument("--children", action="store_true", help="the processes it forks as well")
    add_scan_arguments(parser)
    add_live_arguments(parser)
    add_look_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the status of the program."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("there is no program to run.", "Write it behind --: tinspect run -- CMD ARG...")
    if arguments.json and not arguments.report:
        raise UsageError("--json needs --report FILE.", "Standard output belongs to the program.")
    from tinspect.model.options import RunOptions

    options = attach_options(arguments)
    wishes = RunOptions(frozenset(arguments.on or ()), arguments.after, arguments.output, arguments.children)

    def deliver(report: ProcessReport, why: str) -> None:
        context.say(why)
        _show(report, options, arguments, context)

    def fail(problem: TinspectError | OSError) -> None:
        with suppress(OSError):  # standard error may be closed as well
            context.say(problem_words(problem))

    if arguments.report:
        Path(arguments.report).write_text("", encoding="utf-8")  # fails before the program starts, not after it died
    return context.services.session().run_command(command, wishes, options, deliver, fail)


def _show(report: ProcessReport, options: AttachOptions, arguments: argparse.Namespace, context: Context) -> None:
    """Appends to the file of --report, or writes to standard error."""
    from tinspect.cli.show import show_report

    if not arguments.report:
        show_report(report, options.sections, arguments, Context(context.services, context.errors, context.errors))
        return
    with Path(arguments.report).open("a", encoding="utf-8") as file:
        show_report(report, options.sections, arguments, Context(context.services, file, context.errors))
