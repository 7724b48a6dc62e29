"""Convenience functions for expressions, conditions and scripts: ``print $_tinspect_guard_distance()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import gdb

from tinspect.gdb_plugin.commands import address_of
from tinspect.gdb_plugin.reports import ReportCache
from tinspect.gdb_plugin.selection import thread_number
from tinspect.model.options import Section

if TYPE_CHECKING:
    from tinspect.model.report import ThreadReport

_SECTIONS = frozenset({Section.STACKS})


class OwnerFunction(gdb.Function):
    """$_tinspect_thread(ADDRESS): the number of the thread on whose stack, guard or alternate stack ADDRESS lies; 0 for none."""

    def __init__(self, cache: ReportCache) -> None:
        self._cache = cache
        super().__init__("_tinspect_thread")

    def invoke(self, value: gdb.Value) -> int:
        """Called by gdb."""
        address = address_of(value)
        regions = self._cache.report(_SECTIONS).regions
        owner = next(
            (r.tid for r in regions if r.tid is not None and r.kind != "cached_stack" and address in r.range), None
        )
        return thread_number(owner) if owner is not None else 0


class OfSelectedThread(gdb.Function):
    """A number of the selected thread's stack."""

    def __init__(self, name: str, words: str, cache: ReportCache, number: Callable[[ThreadReport], int | None]) -> None:
        self.__doc__ = f"${name}(): {words} of the selected thread."
        self._words = words
        self._cache = cache
        self._number = number
        super().__init__(name)

    def invoke(self) -> int:
        """Called by gdb."""
        selected = gdb.selected_thread()
        if selected is None:
            raise gdb.GdbError("No thread is selected.")
        report = self._cache.report(_SECTIONS).thread(selected.ptid[1] or selected.ptid[0])
        number = self._number(report) if report is not None else None
        if number is None:
            raise gdb.GdbError(f"The {self._words} of this thread is not known.")
        return number


def register_functions(cache: ReportCache) -> None:
    """Adds all functions."""
    OwnerFunction(cache)
    OfSelectedThread(
        "_tinspect_stack_low", "lowest address of the stack", cache, lambda t: t.stack.range.low if t.stack else None
    )
    OfSelectedThread(
        "_tinspect_stack_high", "end of the stack", cache, lambda t: t.stack.range.high if t.stack else None
    )
    OfSelectedThread(
        "_tinspect_guard_distance",
        "distance in bytes from sp to the guard",
        cache,
        lambda t: t.guard.distance if t.guard else None,
    )
