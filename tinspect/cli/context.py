"""What a command is given beside its arguments."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import TextIO

from tinspect.cli.progress import ProgressLine
from tinspect.cli.services import Services
from tinspect.cli.terminal import Terminal, takes_unicode, wants_colour


@dataclass(frozen=True)
class Context:
    """The services, and the streams of this run."""

    services: Services
    output: TextIO
    errors: TextIO

    def terminal(self, arguments: argparse.Namespace, errors: bool = False) -> Terminal:
        """Standard output as the arguments want it used, or standard error."""
        stream = self.errors if errors else self.output
        return Terminal(
            stream,
            colour=wants_colour(stream, os.environ, getattr(arguments, "no_color", False)),
            unicode=takes_unicode(stream),
            pager=not errors and not getattr(arguments, "no_pager", True),
        )

    def progress(self) -> ProgressLine:
        """Progress on standard error."""
        return ProgressLine(self.errors, enabled=True)

    def say(self, words: str) -> None:
        """One line to standard error, made inert."""
        from tinspect.model.text import printable

        self.errors.write(f"tinspect: {printable(words)}\n")
        self.errors.flush()


def standard_context(services: Services) -> Context:
    """The streams of this process."""
    return Context(services, sys.stdout, sys.stderr)
