"""The manual page and the reference page, made from the parser, so that they cannot say anything else.

``python -m tinspect.cli.manual man`` prints roff for man(1), ``markdown`` prints docs/reference/cli.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tinspect._version import VERSION
from tinspect.cli.parser import COMMANDS, EPILOG, build_parser

ENVIRONMENT = (
    ("NO_COLOR", "When not empty: no colours."),
    ("CLICOLOR, CLICOLOR_FORCE", "CLICOLOR=0: no colours. CLICOLOR_FORCE=1: colours even into a file or a pipe."),
    (
        "COLUMNS, LINES",
        "The size to draw for, in place of the terminal's. Output that is no terminal is drawn for 120 columns.",
    ),
    ("PAGER", "Shows what is longer than the screen (less). Empty or cat: no pager."),
    ("LESS", "Options of less (FRX)."),
    ("TINSPECT_DEBUG", "When not empty: the traceback of an internal error."),
)
EXIT_STATUSES = (
    ("0", "All that was asked for was learnt."),
    ("1", "A report with gaps, each named at its end or under incomplete; doctor: something is limited or missing."),
    ("2", "No report; one sentence on standard error says why, and what to do."),
    ("64", "Wrong usage."),
    ("130", "Interrupted by Ctrl-C. The target runs on."),
    ("141", "The reader of standard output went away."),
)


@dataclass(frozen=True, slots=True)
class Option:
    """One argument: how it is written, and what it means."""

    words: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    """Arguments under one title."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """One command as the manual shows it."""

    name: str
    synopsis: str
    description: str
    groups: tuple[Group, ...]


def described_commands() -> tuple[Command, ...]:
    """All commands, in the parser's order."""
    choices = next(
        action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return tuple(_described(command.NAME, command.DESCRIPTION, choices[command.NAME]) for command in COMMANDS)


def _described(name: str, description: str, parser: argparse.ArgumentParser) -> Command:
    groups = tuple(_groups(parser))
    positional = [_words(action) for action in parser._actions if not action.option_strings]
    needed = [
        f"{each.option_strings[0]} {each.metavar}" for each in parser._actions if each.option_strings and each.required
    ]
    options = "[OPTION...]" if len(parser._actions) - len(positional) - len(needed) > 1 else ""
    synopsis = " ".join(part for part in ("tinspect", name, options, *positional, *needed) if part)
    return Command(name, synopsis, description, groups)


def _groups(parser: argparse.ArgumentParser) -> Iterator[Group]:
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if actions:
            yield Group(group.title or "", tuple(Option(_option_words(action), _meaning(action)) for action in actions))


def _words(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return f"[{name}]" if action.nargs == "?" else f"{name}..." if action.nargs == "+" else name


def _option_words(action: argparse.Action) -> str:
    if not action.option_strings:
        return _words(action)
    choices = "|".join(action.choices) if action.choices else None
    value = "" if action.nargs == 0 else f" {action.metavar or choices or action.dest.upper()}"
    return ", ".join(action.option_strings) + value


def _meaning(action: argparse.Action) -> str:
    return (action.help or "") % {"default": action.default}


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def man_page() -> str:
    """The manual page tinspect(1), in the man macros of man(7)."""
    lines = [
        f'.TH TINSPECT 1 "" "tinspect {VERSION}" "User Commands"',
        ".SH NAME",
        _roff("tinspect - the true stacks of all threads, and who points into whose"),
        ".SH SYNOPSIS",
    ]
    commands = described_commands()
    for command in commands:
        lines += [f".B {_roff(command.synopsis)}", ".br"]
    lines += [".SH DESCRIPTION", _roff(build_parser().description or ""), ".SH COMMANDS"]
    for command in commands:
        lines += [f".SS {_roff(command.name)}", _roff(command.description)]
        for group in command.groups:
            for option in group.options:
                lines += [".TP", f".B {_roff(option.words)}", _roff(option.meaning)]
    for title, pairs in (("EXIT STATUS", EXIT_STATUSES), ("ENVIRONMENT", ENVIRONMENT)):
        lines.append(f".SH {title}")
        for name, meaning in pairs:
            lines += [".TP", f".B {_roff(name)}", _roff(meaning)]
    lines += [
        ".SH SEE ALSO",
        ".BR gdb (1),",
        ".BR proc (5),",
        ".BR sigaltstack (2),",
        ".BR pthread_getattr_np (3),",
        ".BR core (5)",
    ]
    return "\n".join(lines) + "\n"


def reference_page() -> str:
    """docs/reference/cli.md."""
    lines = [
        "# The command line",
        "",
        "Made from the parser by `python -m tinspect.cli.manual markdown`; a test compares.",
        "",
        "| Command | What it does |",
        "|---|---|",
        *(f"| [`tinspect {command.NAME}`](#tinspect-{command.NAME}) | {command.HELP} |" for command in COMMANDS),
        "",
        EPILOG,
        "",
    ]
    for command in described_commands():
        lines += [f"## tinspect {command.name}", "", "```", command.synopsis, "```", "", command.description, ""]
        for group in command.groups:
            lines += [f"**{group.title.capitalize()}**", "", "| | |", "|---|---|"]
            lines += [f"| `{_cell(option.words)}` | {_cell(option.meaning)} |" for option in group.options] + [""]
    for title, pairs in (("Exit status", EXIT_STATUSES), ("Environment", ENVIRONMENT)):
        lines += [
            f"## {title}",
            "",
            "| | |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in pairs),
            "",
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Prints the page that the first argument names."""
    page = {"man": man_page, "markdown": reference_page}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if page is None:
        sys.stderr.write("usage: python -m tinspect.cli.manual man|markdown\n")
        return 64
    sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
