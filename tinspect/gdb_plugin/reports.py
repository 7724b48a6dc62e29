"""Reports on the selected inferior, kept until it runs, or its memory or its files change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import gdb

from tinspect.errors import TinspectError
from tinspect.gdb_plugin.settings import attach_options
from tinspect.model.options import Section

if TYPE_CHECKING:
    from tinspect.model.report import ProcessReport
    from tinspect.session import Inspector


class ReportCache:
    """The last report of each inferior, by what was asked for."""

    def __init__(self) -> None:
        self._reports: dict[tuple[int, object], ProcessReport] = {}
        self._inspectors: dict[int, Inspector] = {}

    def report(self, sections: frozenset[Section], tids: frozenset[int] | None = None) -> ProcessReport:
        """The report of the selected inferior. Raises gdb.GdbError with the cause and the next step."""
        from tinspect import session

        inferior = gdb.selected_inferior().num
        options = replace(attach_options(sections), tids=tids)
        key = (inferior, options)
        if key not in self._reports:
            inspector = self._inspectors.setdefault(inferior, session.open_inferior())
            try:
                self._reports[key] = inspector.report(options)
            except TinspectError as error:
                raise gdb.GdbError(str(error)) from None
        return self._reports[key]

    def forget(self, *_event: object) -> None:
        """Something ran or was written: nothing that was said before holds any more."""
        self._reports.clear()

    def forget_files(self, *_event: object) -> None:
        """Other files may lie behind the modules: symbols are read anew as well."""
        self._reports.clear()
        self._inspectors.clear()

    def watch(self) -> None:
        """Asks gdb to be told. Dropping a dictionary is all that happens then, so stops stay as fast as they were."""
        for name in ("cont", "exited", "memory_changed", "register_changed", "inferior_call"):
            getattr(gdb.events, name).connect(self.forget)
        for name in ("new_objfile", "clear_objfiles", "inferior_deleted"):
            getattr(gdb.events, name).connect(self.forget_files)
