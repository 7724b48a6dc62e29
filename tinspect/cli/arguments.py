"""Arguments that several commands share, and what their text means."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from tinspect.errors import UsageError

if TYPE_CHECKING:
    from tinspect.model.options import AttachOptions, Section
    from tinspect.views.options import ViewOptions

SECTION_NAMES = (
    "threads", "stacks", "guards", "altstacks", "tls", "refs", "locks", "scopes", "process", "findings",
)  # fmt: skip
ALTSTACK_NAMES = ("auto", "bpf", "inject", "off")
_LAST_ADDRESS = (1 << 64) - 1


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations, and leaves errors to the program."""

    own_options: frozenset[str] | None = None
    """For commands that pass arguments on: all are passed on as they are, unless the first is one of these."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # typeshed has five overloads of it
        """See argparse; honours ``own_options``."""
        if self.own_options is not None and args and args[0] not in self.own_options:
            args = ["--", *args]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message}.", f"Try {self.prog} --help.")


def process_id(text: str) -> int:
    """A pid from its digits."""
    return _number(text, "process")


def _number(text: str, whose: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {whose} id")
    return int(text)


def thread_ids(text: str) -> frozenset[int]:
    """Thread ids, separated by commas."""
    return frozenset(_number(part, "thread") for part in text.split(","))


def section_names(text: str) -> frozenset[str]:
    """Names of sections, separated by commas."""
    names = frozenset(part.strip() for part in text.split(","))
    for name in sorted(names - set(SECTION_NAMES)):
        raise argparse.ArgumentTypeError(f"there is no section {name!r}: {', '.join(SECTION_NAMES)}")
    return names


def address(text: str) -> int:
    """An address: hexadecimal with or without 0x."""
    try:
        value = int(text, 16)
    except ValueError:
        value = -1
    if not 0 <= value <= _LAST_ADDRESS:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address (hexadecimal, with or without 0x)")
    return value


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def add_look_arguments(parser: argparse.ArgumentParser) -> None:
    """How a report is shown."""
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "--only", metavar="SECTIONS", type=section_names, help=f"of {', '.join(SECTION_NAMES)}: these, by commas"
    )
    group.add_argument(
        "--tid", metavar="TID", type=thread_ids, action="append", help="only these threads, by commas; may be repeated"
    )
    group.add_argument("--every-thread", action="store_true", help="a row for each thread, however alike many are")
    group.add_argument(
        "--frames",
        action="store_true",
        help="the threads section with call stacks, alike ones shared; of threads chosen by --tid with lines of source",
    )
    group.add_argument("--libc-refs", action="store_true", help="also the references that libc itself keeps")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """How output is written."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="JSON on standard output; words go to standard error")
    group.add_argument("--no-color", action="store_true", help="no colours (so do NO_COLOR and CLICOLOR=0)")
    group.add_argument("--no-pager", action="store_true", help="never start a pager")


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """How a running process is looked at."""
    group = parser.add_argument_group("how the process is looked at")
    group.add_argument("--passive", action="store_true", help="stop nothing")
    group.add_argument(
        "--stop-busy", action="store_true", help="with --passive: stop those threads alone that are running"
    )
    group.add_argument(
        "--altstack",
        choices=ALTSTACK_NAMES,
        default="auto",
        help="how alternate signal stacks may be learnt (%(default)s)",
    )
    add_timeout_argument(group)


def add_timeout_argument(parser: argparse._ActionsContainer) -> None:
    """How long to wait for threads."""
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, default=10.0, help="for threads to stop (%(default)s)"
    )


def add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    """How much memory is searched."""
    parser.add_argument("--heap", action="store_true", help="look for references in heap and globals too")


def add_sysroot_argument(parser: argparse.ArgumentParser) -> None:
    """Where a core's files lie."""
    parser.add_argument("--sysroot", metavar="DIR", help="where the files of the core's machine lie")


def attach_options(arguments: argparse.Namespace) -> AttachOptions:
    """The session's options out of the arguments; those a command does not have keep their defaults. Raises UsageError."""
    from tinspect.model.options import ALL_SECTIONS, AltstackMode, AttachOptions, Section

    given = vars(arguments)
    if given.get("stop_busy") and not given.get("passive"):
        raise UsageError("--stop-busy says what --passive may stop.", "Add --passive, or leave it out.")
    if given.get("passive") and given.get("altstack") == "inject":
        raise UsageError("--passive stops nothing, and injection needs a stop.", "Leave out one of the two.")
    tids = given.get("tid")
    sections = _sections(given["only"]) if given.get("only") else ALL_SECTIONS
    if given.get("frames"):
        sections |= {Section.THREADS}
    return AttachOptions(
        sections=sections,
        tids=frozenset().union(*tids) if tids else None,
        heap=bool(given.get("heap")),
        passive=bool(given.get("passive")),
        stop_busy=bool(given.get("stop_busy")),
        altstack=AltstackMode(given.get("altstack") or "auto"),
        timeout=given.get("timeout") or 10.0,
    )


def _sections(names: frozenset[str]) -> frozenset[Section]:
    from tinspect.model.options import Section

    return frozenset(Section(name) for name in names)


def view_options(arguments: argparse.Namespace) -> ViewOptions:
    """How the report is to be shown."""
    from tinspect.views.options import ViewOptions

    return ViewOptions(
        group_over=0 if arguments.every_thread else ViewOptions().group_over,
        libc_references=arguments.libc_refs,
        frames=arguments.frames,
        command_line=True,
    )
