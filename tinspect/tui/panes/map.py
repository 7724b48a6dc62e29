"""The pane with the map of stacks, guards, alternate and cached stacks."""

from __future__ import annotations

from tinspect.model.report import ProcessReport
from tinspect.tui.panes.content import Content, Entry, Link, MapEntry, TextEntry
from tinspect.views.map_text import MAP_LEGEND, map_text_lines, stack_uses
from tinspect.views.process import regions_table
from tinspect.views.span import Span
from tinspect.views.table import Role


def map_content(report: ProcessReport) -> Content:
    """The map, a line a stretch; a blank line where more than 16 MiB of nothing lie between."""
    uses = stack_uses(report)
    entries: list[Entry] = [TextEntry((Span("Stacks where they lie, to scale", Role.TITLE),)), _legend()]
    for line in map_text_lines(report):
        if line.starts_cluster and len(entries) > 2:
            entries.append(TextEntry(()))
        entries.append(MapEntry(line, uses, Link(line.tids[0]) if line.tids else None))
    return Content(tuple(entries), (regions_table(report),))


def _legend() -> TextEntry:
    spans = [Span(" ")]
    for item in MAP_LEGEND:
        spans += [Span(item.sample, item.role), Span(f" {item.words}  ", Role.DIM)]
    return TextEntry(tuple(spans))
