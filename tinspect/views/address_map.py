"""The map of stacks: which stretches of the address space are stacks, guards, alternate and cached stacks, in clusters drawn to scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.model.address import AddressRange
from tinspect.model.report import MemoryRegion, ProcessReport, ThreadReport

CLUSTER_GAP = 16 << 20
"""Bytes of nothing that end a cluster: farther things would squeeze it to a line."""

_KINDS = frozenset(("stack", "guard", "altstack", "cached_stack"))


@dataclass(frozen=True, slots=True)
class MapPiece:
    """One stretch within a cluster: where it starts and how wide it is, as fractions of the cluster."""

    region: MemoryRegion
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class MapCluster:
    """Stretches near each other, by address."""

    range: AddressRange
    pieces: tuple[MapPiece, ...]


def stack_regions(report: ProcessReport) -> tuple[MemoryRegion, ...]:
    """Stacks, guards, alternate and cached stacks by address: the report's own labels, or what its threads tell."""
    labelled = [region for region in report.regions if region.kind in _KINDS]
    regions = labelled or [*_thread_regions(report), *_cached_regions(report)]
    return tuple(sorted(regions, key=lambda region: (region.range.low, region.range.high)))


def _thread_regions(report: ProcessReport) -> Iterator[MemoryRegion]:
    for entry in report.threads:
        tid = entry.thread.tid
        for kind, found in _ranges(entry):
            if found is not None:
                yield MemoryRegion(found, f"[ {kind} tid={tid} ]", kind, tid)


def _ranges(entry: ThreadReport) -> Iterator[tuple[str, AddressRange | None]]:
    yield "stack", entry.stack.range if entry.stack else None
    yield "guard", entry.guard.range if entry.guard else None
    yield "altstack", entry.signal_stack.range if entry.signal_stack else None


def _cached_regions(report: ProcessReport) -> Iterator[MemoryRegion]:
    for stack in report.cached_stacks:
        yield MemoryRegion(stack.range, "[ cached stack ]", "cached_stack", stack.tid)


def map_clusters(report: ProcessReport, gap: int = CLUSTER_GAP) -> tuple[MapCluster, ...]:
    """The regions in clusters, lowest addresses first; between two clusters lie more than ``gap`` bytes."""
    groups: list[list[MemoryRegion]] = []
    high = 0
    for region in stack_regions(report):
        if not groups or region.range.low > high + gap:
            groups.append([])
            high = 0
        groups[-1].append(region)
        high = max(high, region.range.high)
    return tuple(_cluster(group) for group in groups)


def _cluster(regions: list[MemoryRegion]) -> MapCluster:
    whole = AddressRange(regions[0].range.low, max(region.range.high for region in regions))
    size = max(whole.size, 1)
    pieces = (MapPiece(region, (region.range.low - whole.low) / size, region.range.size / size) for region in regions)
    return MapCluster(whole, tuple(pieces))
