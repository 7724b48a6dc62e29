"""tinspect report TARGET [--html FILE]: the report as one web page, or once more from a saved one."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import (
    add_live_arguments,
    add_look_arguments,
    add_output_arguments,
    add_scan_arguments,
    add_sysroot_argument,
    attach_options,
    view_options,
)
from tinspect.cli.context import Context

NAME = "report"
HELP = "the report as one self-contained web page"
DESCRIPTION = (
    "The report on a process, a core dump, or a report saved by --json: as one web page that needs no network, to be attached to "
    "a bug report; without --html as text."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="a pid, a core dump, or a saved JSON report")
    parser.add_argument("executable", metavar="EXE", nargs="?", help="the program that dumped the core")
    parser.add_argument("--html", metavar="FILE", help="the page to write; - for standard output")
    add_scan_arguments(parser)
    add_sysroot_argument(parser)
    add_live_arguments(parser)
    add_look_arguments(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    from tinspect.cli.show import report_status, show_report
    from tinspect.cli.targets import target_report

    options = attach_options(arguments)
    with context.progress() as progress:
        report = target_report(
            context.services.session(),
            arguments.target,
            options,
            progress.tell,
            executable=arguments.executable,
            sysroot=arguments.sysroot,
        )
    if arguments.html is None:
        return show_report(report, options.sections, arguments, context)
    from tinspect.cli.files import write_whole
    from tinspect.views.html import html_page

    page = html_page(report, options.sections, view_options(arguments))
    if arguments.html == "-":
        context.output.write(page)
    else:
        write_whole(arguments.html, page)
    return report_status(report)
