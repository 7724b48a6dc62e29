"""tinspect doctor [PID]: what this machine and these rights allow."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import add_output_arguments, process_id
from tinspect.cli.context import Context

NAME = "doctor"
HELP = "what this machine and these rights allow, and what to do about the rest"
DESCRIPTION = (
    "Tries what tinspect needs, on this machine or with one process, and says what to do about what is missing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("pid", metavar="PID", type=process_id, nargs="?", help="a process to try with")
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command: 0 when all is well, 1 when something is limited or missing."""
    checks = context.services.session().doctor(arguments.pid)
    if arguments.json:
        from tinspect.cli.show import write_json
        from tinspect.formats.answers_json import doctor_json

        write_json(doctor_json(checks), context.output)
    else:
        from tinspect.cli.show import show_tables
        from tinspect.views.doctor import doctor_table

        show_tables((doctor_table(checks),), arguments, context)
    from tinspect.model.doctor import CheckState

    return 0 if all(check.state is CheckState.OK for check in checks) else 1
