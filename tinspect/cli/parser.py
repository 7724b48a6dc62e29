"""The parser of the whole command line. Command modules import what they need when they run: --help and completion stay quick."""

from __future__ import annotations

import argparse

from tinspect._version import VERSION
from tinspect.cli.arguments import Parser
from tinspect.cli.commands import (
    attach,
    completion,
    core,
    demo,
    doctor,
    gdb,
    native,
    report,
    run,
    snapshot,
    tui,
    whatis,
)

COMMANDS = (attach, core, run, snapshot, whatis, tui, report, gdb, doctor, demo, native, completion)

_DESCRIPTION = "What is true of every thread's stack, in a process, a core dump or a gdb session."
EPILOG = (
    "Exit status: 0 all was learnt; 1 a report with gaps, each named; 2 no report; 64 wrong usage; "
    "130 interrupted. 'tinspect run' ends with the status of its command."
)


def build_parser() -> argparse.ArgumentParser:
    """A parser whose result has ``run``: the function of the command, to be called with the result and a Context."""
    parser = Parser(prog="tinspect", description=_DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"tinspect {VERSION}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.NAME, help=command.HELP, description=command.DESCRIPTION)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
