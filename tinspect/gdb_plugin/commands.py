"""The commands: ``tinspect threads`` and its siblings. Each reads through gdb alone, and leaves the user's selection as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gdb

from tinspect.errors import TinspectError
from tinspect.gdb_plugin.reports import ReportCache
from tinspect.gdb_plugin.section_help import FOR_THREADS, SECTION_HELP
from tinspect.gdb_plugin.selection import selected_tids
from tinspect.gdb_plugin.settings import attach_options, view_options
from tinspect.model.options import ALL_SECTIONS, Section

if TYPE_CHECKING:
    from tinspect.model.report import ProcessReport


class Prefix(gdb.Command):
    """True stack bounds, guards, alternate stacks, thread-local keys, and references between threads' stacks."""

    def __init__(self) -> None:
        super().__init__("tinspect", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        """Without a subcommand: the list of them."""
        if argument.strip():
            raise gdb.GdbError(f'Undefined tinspect command: "{argument.split(maxsplit=1)[0]}". Try "help tinspect".')
        gdb.execute("help tinspect")


class SectionCommand(gdb.Command):
    """One section of the report."""

    def __init__(self, section: Section, cache: ReportCache) -> None:
        words = SECTION_HELP[section]
        usage = f"tinspect {section}" + (" [THREAD...]" if section in FOR_THREADS else "")
        more = '\nTHREAD is a number or a range as in "thread apply": 1 3-5.' if section in FOR_THREADS else ""
        self.__doc__ = f"Show {words}.\nUsage: {usage}{more}"
        self._section = section
        self._cache = cache
        super().__init__(f"tinspect {section}", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        """Shows the section."""
        from tinspect.gdb_plugin.output import write_tables
        from tinspect.views.report import section_tables

        self.dont_repeat()
        if argument.strip() and self._section not in FOR_THREADS:
            raise gdb.GdbError(f"tinspect {self._section} takes no argument.")
        report = self._cache.report(frozenset({self._section}), selected_tids(argument))
        write_tables(section_tables(report, self._section, view_options()))


class ReportCommand(gdb.Command):
    """The whole report."""

    def __init__(self, cache: ReportCache) -> None:
        self.__doc__ = "Show the whole report, or write it to FILE as JSON.\nUsage: tinspect report [--json FILE]"
        self._cache = cache
        super().__init__("tinspect report", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        """Shows or writes the report."""
        from tinspect.gdb_plugin.output import write_tables
        from tinspect.views.report import report_tables

        self.dont_repeat()
        words = gdb.string_to_argv(argument)
        if words and (words[0] != "--json" or len(words) != 2):
            raise gdb.GdbError("Usage: tinspect report [--json FILE]")
        report = self._cache.report(ALL_SECTIONS)
        if not words:
            write_tables(report_tables(report, ALL_SECTIONS, view_options()))
            return
        _write_json(report, words[1])

    def complete(self, text: str, _word: str) -> list[str] | int:
        """The option, then file names."""
        return gdb.COMPLETE_FILENAME if "--json " in text else ["--json"]


def _write_json(report: ProcessReport, path: str) -> None:
    import json
    from pathlib import Path

    from tinspect.formats.report_json import to_json

    try:
        Path(path).expanduser().write_text(json.dumps(to_json(report), indent=1) + "\n")
    except OSError as error:
        raise gdb.GdbError(f"{path} cannot be written: {error.strerror}.") from None


class WhatIsCommand(gdb.Command):
    """One address explained."""

    def __init__(self) -> None:
        self.__doc__ = (
            "Tell what an address is: whose stack and which frame, guard, alternate stack, thread-local storage, heap, symbol.\n"
            "Usage: tinspect whatis EXPRESSION\n"
            "EXPRESSION is anything gdb can evaluate to an address: 0x7ffe0000, $sp, &variable, pointer + 8."
        )
        super().__init__("tinspect whatis", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        """Answers for one expression."""
        from tinspect import session
        from tinspect.gdb_plugin.output import write_tables
        from tinspect.views.whatis import whatis_table

        if not argument.strip():
            raise gdb.GdbError("Usage: tinspect whatis EXPRESSION")
        address = evaluate_address(argument)
        try:
            answers = session.open_inferior().whatis([address], attach_options(frozenset({Section.TLS})))
        except TinspectError as error:
            raise gdb.GdbError(str(error)) from None
        write_tables([whatis_table(answers)])


def evaluate_address(expression: str) -> int:
    """The address an expression stands for: a number or pointer itself, an array or struct by where it lies. Raises gdb.error."""
    return address_of(gdb.parse_and_eval(expression))


def address_of(value: gdb.Value) -> int:
    """The address a gdb.Value stands for."""
    kind = value.type.strip_typedefs().code
    if kind in {gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_FUNC}:
        if value.address is None:
            raise gdb.GdbError("That value lies in no memory. Give an address.")
        value = value.address
    try:
        return int(value) & (1 << 64) - 1
    except (gdb.error, ValueError, TypeError):
        raise gdb.GdbError("That expression has no address. Give a number or a pointer.") from None
