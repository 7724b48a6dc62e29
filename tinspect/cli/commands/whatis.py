"""tinspect whatis TARGET ADDR...: what an address is."""

from __future__ import annotations

import argparse

from tinspect.cli.arguments import (
    add_live_arguments,
    add_output_arguments,
    add_sysroot_argument,
    address,
    attach_options,
)
from tinspect.cli.context import Context

NAME = "whatis"
HELP = "what an address is: whose stack, which frame, guard, TLS, heap, symbol"
DESCRIPTION = (
    "Says of each address what it is: thread, frame and variable; guard; alternate stack; thread descriptor; thread-local "
    "storage; heap chunk; module, section and symbol; or nothing mapped."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="a pid, or a core dump")
    parser.add_argument("addresses", metavar="ADDR", type=address, nargs="+", help="hexadecimal, with or without 0x")
    parser.add_argument("--exe", metavar="EXE", dest="executable", help="the program that dumped the core")
    add_sysroot_argument(parser)
    add_live_arguments(parser)
    add_output_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    with context.progress() as progress:
        answers = context.services.session().whatis(
            arguments.target,
            arguments.addresses,
            attach_options(arguments),
            progress.tell,
            executable=arguments.executable,
            sysroot=arguments.sysroot,
        )
    if arguments.json:
        from tinspect.cli.show import write_json
        from tinspect.formats.answers_json import whatis_json

        write_json(whatis_json(answers), context.output)
        return 0
    from tinspect.cli.show import show_tables
    from tinspect.views.whatis import whatis_facts_table, whatis_table

    tables = (whatis_facts_table(answers[0]),) if len(answers) == 1 else (whatis_table(answers),)
    show_tables(tables, arguments, context)
    return 0
