"""Runs one command line: parses it, runs its command, and turns whatever happens into words and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tinspect.cli.context import Context, standard_context
from tinspect.cli.parser import build_parser
from tinspect.cli.problems import problem_words
from tinspect.cli.services import Services
from tinspect.errors import TinspectError, UsageError

NO_REPORT = 2
WRONG_USAGE = 64
INTERRUPTED = 130
BROKEN_PIPE = 141


def run_command_line(arguments: Sequence[str], services: Services) -> int:
    """The exit status of ``tinspect ARGUMENTS``: that of the command, or 2, 64, 128 + signal. Never raises."""
    context = standard_context(services)
    previous = signal.signal(signal.SIGTERM, _end)
    try:
        status = _run(arguments, context)
        context.output.flush()
        return status
    except SystemExit as ending:  # --help, --version, SIGTERM
        return ending.code if isinstance(ending.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    finally:
        signal.signal(signal.SIGTERM, previous)


def _run(arguments: Sequence[str], context: Context) -> int:
    try:
        parsed = build_parser().parse_args(arguments)
        return int(parsed.run(parsed, context))
    except UsageError as problem:
        context.say(problem_words(problem))
        return WRONG_USAGE
    except BrokenPipeError:
        raise
    except (TinspectError, OSError) as problem:
        context.say(problem_words(problem))
        return NO_REPORT
    except Exception as problem:  # a defect of ours: the user gets one line, the developer the rest on demand
        if os.environ.get("TINSPECT_DEBUG"):
            traceback.print_exc()
        context.say(
            f"internal error: {type(problem).__name__}: {problem}. TINSPECT_DEBUG=1 shows where; please report it."
        )
        return NO_REPORT


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM as an exception, so that whatever holds the target lets it go."""
    sys.exit(128 + number)


def _drop_output() -> None:
    """The reader is gone: what is still buffered must not raise again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
