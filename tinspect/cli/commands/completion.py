"""tinspect completion SHELL: the completion script."""

from __future__ import annotations

import argparse

from tinspect.cli.context import Context

NAME = "completion"
HELP = "the completion script for a shell"
DESCRIPTION = (
    "Prints the completion script. For bash: tinspect completion bash > "
    "~/.local/share/bash-completion/completions/tinspect; for zsh: into a file _tinspect in a directory of $fpath."
)
_FILES = frozenset({"CORE", "EXE", "TARGET", "FILE", "-- CMD [ARG...]", "[GDB ARG...]"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    import shtab

    from tinspect.cli.parser import build_parser

    parser = build_parser()
    _name_files(parser)
    context.output.write(shtab.complete(parser, arguments.shell) + "\n")
    return 0


def _name_files(parser: argparse.ArgumentParser) -> None:
    """Has file names completed where the command line takes them."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                _name_files(subparser)
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
