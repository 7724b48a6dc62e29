"""tinspect attach PID: the report on a running process."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import (
    add_live_arguments,
    add_look_arguments,
    add_output_arguments,
    add_scan_arguments,
    attach_options,
    process_id,
    seconds,
)
from tinspect.cli.context import Context

NAME = "attach"
HELP = "the report on a running process"
DESCRIPTION = (
    "Stops the process for as short as can be, reads what it needs, lets it run on, and tells of each thread its stack, "
    "guard, alternate stack and keys, and who points into whose stack."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process")
    add_scan_arguments(parser)
    parser.add_argument("--watch", metavar="SECONDS", type=seconds, help="again and again, with what changed marked")
    add_live_arguments(parser)
    add_look_arguments(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    options = attach_options(arguments)
    if arguments.watch:
        from tinspect.cli.watch import watch

        return watch(arguments, options, context)
    from tinspect.cli.show import show_report

    with context.progress() as progress:
        report = context.services.session().attach_report(arguments.pid, options, progress.tell)
    return show_report(report, options.sections, arguments, context)
