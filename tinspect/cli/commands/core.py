"""tinspect core CORE [EXE]: the report on a core dump."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import (
    add_look_arguments,
    add_output_arguments,
    add_scan_arguments,
    add_sysroot_argument,
    attach_options,
)
from tinspect.cli.context import Context

NAME = "core"
HELP = "the same report, from a core dump"
DESCRIPTION = (
    "The report on a core dump, plain or compressed (.gz, .xz, .zst, .lz4), - for standard input, or a pid or name that "
    "coredumpctl knows. The executable is found by what the core says of it; when given, either order will do."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("core", metavar="CORE", help="the core dump")
    parser.add_argument("executable", metavar="EXE", nargs="?", help="the program that dumped it")
    add_scan_arguments(parser)
    add_sysroot_argument(parser)
    add_look_arguments(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    from tinspect.cli.show import show_report
    from tinspect.cli.targets import ordered_core

    options = attach_options(arguments)
    core, executable = ordered_core(arguments.core, arguments.executable)
    with context.progress() as progress:
        session = context.services.session()
        report = session.core_report(core, executable, options, arguments.sysroot, progress.tell)
    return show_report(report, options.sections, arguments, context)
