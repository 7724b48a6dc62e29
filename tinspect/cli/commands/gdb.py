"""tinspect gdb [GDB ARG...]: gdb with the commands loaded."""

from __future__ import annotations

import argparse
import os

from tinspect.cli.arguments import Parser
from tinspect.cli.context import Context
from tinspect.errors import TinspectError

NAME = "gdb"
HELP = "gdb with tinspect's commands loaded"
DESCRIPTION = "Starts gdb with tinspect's commands loaded; all arguments go to gdb. Type 'help tinspect' in it."


def add_arguments(parser: Parser) -> None:
    """Adds this command's arguments."""
    parser.own_options = frozenset(("--script", "-h", "--help"))
    parser.add_argument("--script", action="store_true", help="print the file to source, and start nothing")
    parser.add_argument("arguments", metavar="[GDB ARG...]", nargs=argparse.REMAINDER, help="for gdb")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Becomes gdb; returns only when the path was asked for. Raises TinspectError when gdb cannot be started."""
    script = context.services.gdb_script()
    if arguments.script:
        context.output.write(f"{script}\n")
        return 0
    given = arguments.arguments[1:] if arguments.arguments[:1] == ["--"] else arguments.arguments
    context.output.flush()
    try:
        os.execvp("gdb", ["gdb", "-x", str(script), *given])
    except OSError as problem:
        raise TinspectError(f"gdb cannot be started: {problem.strerror}.", "Install the package gdb.") from problem
