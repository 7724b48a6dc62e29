"""The map of stacks in character cells: lines of the address space drawn to scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import TypeAlias

from tinspect.model.address import AddressRange
from tinspect.model.report import MemoryRegion, ProcessReport
from tinspect.views.address_map import MapCluster, map_clusters
from tinspect.views.ascii import ascii_line
from tinspect.views.span import Line, Span
from tinspect.views.table import LegendEntry, Role
from tinspect.views.width import cut
from tinspect.views.words import address_words, size_words

CELLS = 6
"""Cells that each stack of a crowded stretch should get, on a line of 60: what decides how many lines a stretch takes."""

LINES = 2000
"""Lines a stretch takes at most."""

MAP_LEGEND = (
    LegendEntry("█", Role.USED, "used"),
    LegendEntry("▒", Role.PEAK, "touched"),
    LegendEntry("·", Role.FREE, "free"),
    LegendEntry("▌", Role.WARNING, "guard"),
    LegendEntry("=", Role.NOTE, "alternate stack"),
    LegendEntry("x", Role.DIM, "stack of an ended thread"),
    LegendEntry("?", Role.DIM, "not known how far"),
)
_PAGE = 4096
_LABELS = 22

Uses: TypeAlias = Mapping[int, tuple[int, int]]
"""Used and ever used bytes of each thread's stack, by tid; without those of which neither is known."""

_Sign: TypeAlias = tuple[str, Role]


@dataclass(frozen=True, slots=True)
class MapLine:
    """One line: the addresses it spans, and the regions that lie in them, from low to high."""

    area: AddressRange
    regions: tuple[MemoryRegion, ...]
    starts_cluster: bool

    @property
    def tids(self) -> tuple[int, ...]:
        """The threads with a stack that begins in this line."""
        return tuple(
            region.tid
            for region in self.regions
            if region.kind == "stack" and region.tid is not None and region.range.high - 1 in self.area
        )


def stack_uses(report: ProcessReport) -> Uses:
    """What the map draws into each stack."""
    return {
        entry.thread.tid: (entry.use.used or 0, max(entry.use.peak or 0, entry.use.used or 0))
        for entry in report.threads
        if entry.use and (entry.use.used is not None or entry.use.peak is not None)
    }


def map_text_lines(report: ProcessReport) -> Iterator[MapLine]:
    """The whole map, lowest addresses first: a line for each stretch, several where stacks are many."""
    for cluster in map_clusters(report):
        yield from _cluster_lines(cluster)


def _cluster_lines(cluster: MapCluster) -> Iterator[MapLine]:
    stacks = sum(piece.region.kind != "guard" for piece in cluster.pieces)
    count = min(ceil(stacks * CELLS / 60), LINES)
    step = max(ceil(cluster.range.size / max(count, 1) / _PAGE), 1) * _PAGE
    lines: list[list[MemoryRegion]] = [[] for _ in range(ceil(cluster.range.size / step))]
    for piece in cluster.pieces:
        area = piece.region.range
        last = max(area.high - 1, area.low)
        for at in range((area.low - cluster.range.low) // step, (last - cluster.range.low) // step + 1):
            if at < len(lines):
                lines[at].append(piece.region)
    for at, regions in enumerate(lines):
        low = cluster.range.low + at * step
        yield MapLine(AddressRange(low, min(low + step, cluster.range.high)), tuple(regions), at == 0)


def draw_map_line(line: MapLine, uses: Uses, width: int, chosen: int | None = None, unicode: bool = True) -> Line:
    """The line in ``width`` cells: its lowest address, the drawing, its size and threads. ``chosen`` is set off."""
    label = f"{address_words(line.area.low)} "
    size = f" {size_words(line.area.size):>8}"
    tids = cut(" ".join(str(tid) for tid in line.tids), _LABELS) if width >= 100 else ""
    room = max(width - len(label) - len(size) - (_LABELS + 1 if width >= 100 else 0), 10)
    signs: list[_Sign] = [(" ", Role.PLAIN)] * room
    for region in sorted(line.regions, key=lambda region: _LAYERS.get(region.kind, 0)):
        _paint(signs, line.area, region, uses, chosen)
    drawing = tuple(
        Span("".join(sign for sign, _ in run), role) for role, run in groupby(signs, key=lambda pair: pair[1])
    )
    drawn = (Span(label, Role.ADDRESS), *drawing, Span(size, Role.DIM), Span(f" {tids}", Role.DIM))
    return drawn if unicode else ascii_line(drawn)


_LAYERS = {"cached_stack": 0, "stack": 1, "altstack": 2, "guard": 3}
_SIGNS: Mapping[str, _Sign] = {
    "guard": ("▌", Role.WARNING),
    "altstack": ("=", Role.NOTE),
    "cached_stack": ("x", Role.DIM),
    "stack": ("?", Role.DIM),
}


def _paint(signs: list[_Sign], area: AddressRange, region: MemoryRegion, uses: Uses, chosen: int | None) -> None:
    is_chosen = chosen is not None and region.tid == chosen
    _fill(signs, area, region.range, _SIGNS.get(region.kind, ("?", Role.DIM)), is_chosen)
    if region.kind == "stack" and region.tid is not None and region.tid in uses:
        high, low = region.range.high, region.range.low
        used, peak = uses[region.tid]
        _fill(signs, area, region.range, ("·", Role.FREE), is_chosen)
        _fill(signs, area, AddressRange(max(high - peak, low), high), ("▒", Role.PEAK), is_chosen)
        _fill(signs, area, AddressRange(max(high - used, low), high), ("█", Role.USED), is_chosen)


def _fill(signs: list[_Sign], area: AddressRange, part: AddressRange, sign: _Sign, is_chosen: bool) -> None:
    """Draws the part of ``part`` that lies in the line; what is there at all takes a cell."""
    shown = part.intersection(area)
    if shown is None:
        return
    scale = len(signs) / area.size
    last = min(ceil((shown.high - area.low) * scale), len(signs))
    first = min(int((shown.low - area.low) * scale), last - 1)
    for at in range(first, last):
        signs[at] = (sign[0], Role.CHANGED) if is_chosen else sign
