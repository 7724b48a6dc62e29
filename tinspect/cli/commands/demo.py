"""tinspect demo: the bundled scoped-thread program, and its report."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinspect.cli.arguments import add_look_arguments, add_output_arguments, add_scan_arguments, attach_options
from tinspect.cli.context import Context
from tinspect.errors import TinspectError

NAME = "demo"
HELP = "the bundled scoped-thread program, and its report"
DESCRIPTION = (
    "Starts a program with every kind of thread: scopes within scopes, shared and exclusive loans, a parked thread, one that "
    "waits for a lock, a deep recursion, an alternate stack, a stray pointer and a dangling one. Then shows its report."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    add_scan_arguments(parser)
    add_look_arguments(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    from tinspect.cli.show import show_report

    options = attach_options(arguments)
    with running(context.services.demo_program()) as pid, context.progress() as progress:
        report = context.services.session().attach_report(pid, options, progress.tell)
    return show_report(report, options.sections, arguments, context)


@contextmanager
def running(program: Path) -> Iterator[int]:
    """The pid of ``program`` once it has written a line: all its threads stand then. It ends when its standard input does,
    so even if we are killed."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise TinspectError(f"{program.name} ended before it was ready.", "Run it by hand to see why.")
            yield process.pid
        finally:
            process.kill()
