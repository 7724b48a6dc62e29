"""tinspect tui TARGET: the full-screen view."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import (
    add_live_arguments,
    add_scan_arguments,
    add_sysroot_argument,
    attach_options,
    seconds,
)
from tinspect.cli.context import Context
from tinspect.errors import UsageError

NAME = "tui"
HELP = "the full-screen view"
DESCRIPTION = "Threads, stacks, references and all else on one screen: live for a process, still for a core. Press ? in it for the keys."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="a pid, or a core dump")
    parser.add_argument("executable", metavar="EXE", nargs="?", help="the program that dumped the core")
    parser.add_argument(
        "--interval", metavar="SECONDS", type=seconds, default=2.0, help="between refreshes (%(default)s)"
    )
    add_scan_arguments(parser)
    add_sysroot_argument(parser)
    add_live_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    from tinspect.cli.targets import is_process, ordered_core

    if not context.output.isatty():
        raise UsageError("the full-screen view needs a terminal.", "Use tinspect attach for a file or a pipe.")
    target, executable = arguments.target, arguments.executable
    if not is_process(target):
        target, executable = ordered_core(target, executable)
    return context.services.run_tui(
        target,
        attach_options(arguments),
        executable=executable,
        sysroot=arguments.sysroot,
        interval=arguments.interval,
    )
