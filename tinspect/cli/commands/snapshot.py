"""tinspect snapshot PID -o FILE: an ELF core of a running process."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tinspect.cli.arguments import ALTSTACK_NAMES, add_output_arguments, add_timeout_argument, process_id
from tinspect.cli.context import Context

if TYPE_CHECKING:
    from tinspect.model.options import SnapshotSummary

NAME = "snapshot"
HELP = "an ELF core of a running process, that gdb opens too"
DESCRIPTION = (
    "Writes an ELF core within one short stop, with notes for what cores lose: alternate stacks, names, page states. It holds "
    "stacks, thread descriptors, thread-local storage and the runtime's registry; more on request."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write")
    parser.add_argument("--full", action="store_true", help="all memory")
    parser.add_argument("--heap", action="store_true", help="heap and globals as well")
    parser.add_argument("--compress", action="store_true", help="compress it (zstd)")
    parser.add_argument(
        "--altstack",
        choices=ALTSTACK_NAMES,
        default="auto",
        help="how alternate signal stacks may be learnt (%(default)s)",
    )
    add_timeout_argument(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    from tinspect.model.options import AltstackMode, SnapshotOptions

    options = SnapshotOptions(
        arguments.full, arguments.heap, arguments.compress, AltstackMode(arguments.altstack), arguments.timeout
    )
    with context.progress() as progress:
        summary = context.services.session().write_snapshot(arguments.pid, arguments.output, options, progress.tell)
    if arguments.json:
        from tinspect.cli.show import write_json
        from tinspect.formats.answers_json import snapshot_json

        write_json(snapshot_json(summary), context.output)
    else:
        _tell(summary, arguments, context)
    return 1 if summary.missing else 0


def _tell(summary: SnapshotSummary, arguments: argparse.Namespace, context: Context) -> None:
    from tinspect.cli.show import show_tables
    from tinspect.views.snapshot import snapshot_table

    show_tables((snapshot_table(summary),), arguments, context)
