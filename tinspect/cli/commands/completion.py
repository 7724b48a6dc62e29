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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Runs the command; the exit status."""
    import shtab

    from tinspect.cli.parser import build_parser

    context.output.write(shtab.complete(build_parser(), arguments.shell) + "\n")
    return 0
