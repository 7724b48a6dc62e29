"""Makes the commands known to gdb. What they work with is imported when the first of them runs, so that loading costs next to nothing."""

from __future__ import annotations

from tinspect.gdb_plugin.commands import Prefix, ReportCommand, SectionCommand, WhatIsCommand
from tinspect.gdb_plugin.functions import register_functions
from tinspect.gdb_plugin.reports import ReportCache
from tinspect.gdb_plugin.section_help import SECTION_HELP
from tinspect.gdb_plugin.settings import register_settings


def register() -> None:
    """Adds commands, settings and functions. Doing it again replaces them."""
    cache = ReportCache()
    cache.watch()
    Prefix()
    for section in SECTION_HELP:
        SectionCommand(section, cache)
    ReportCommand(cache)
    WhatIsCommand()
    register_settings()
    register_functions(cache)
