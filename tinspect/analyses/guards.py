"""What keeps each thread from running past the low end of its stack, and how far away is it?

A guard is memory that faults when touched: pages without permissions (mprotect; glibc < 2.42 and musl), pages with an installed
guard marker (MADV_GUARD_INSTALL, Linux 6.13; glibc >= 2.42), or for the main thread the gap the kernel keeps below a growing stack.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.model.address import AddressRange
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, StackBounds
from tinspect.model.thread import Thread
from tinspect.target.target import PageFlag

# stack_guard_gap, Linux mm/mmap.c: 256 pages unless the kernel's command line says otherwise.
KERNEL_GAP_PAGES = 256
# A thread that overflows has its stack pointer within one large frame of the end of its stack.
LARGE_FRAME = 64 << 10


@dataclass(frozen=True, slots=True)
class _Zone:
    """Memory that faults when touched, and how we know."""

    range: AddressRange
    kind: GuardKind
    source: Source


def analyze(context: Context, bounds: Mapping[int, StackBounds]) -> dict[int, GuardRegion]:
    """The guard of every thread whose bounds are known, by tid."""
    zones = _Zones(context)
    return {
        thread.tid: _guard_of(context, thread, bounds[thread.tid], zones)
        for thread in context.snapshot.threads
        if thread.tid in bounds
    }


class _Zones:
    """Every zone of the process that faults when touched, sorted by address."""

    def __init__(self, context: Context) -> None:
        snapshot = context.snapshot
        zones = [
            _Zone(mapping.range, GuardKind.MPROTECT, Source.MAPS)
            for mapping in snapshot.mappings
            if mapping.permissions.startswith("---")
        ]
        zones += [
            _Zone(run.range, GuardKind.MADVISE, Source.PAGEMAP)
            for run in snapshot.pages or ()
            if run.flag is PageFlag.GUARD
        ]
        self._zones = sorted(zones, key=lambda zone: zone.range)
        self._lows = [zone.range.low for zone in self._zones]

    def find_covering(self, address: int) -> _Zone | None:
        """The zone that holds ``address``, or None."""
        zone = self.find_below(address)
        return zone if zone is not None and address in zone.range else None

    def find_below(self, address: int) -> _Zone | None:
        """The highest zone that starts at or below ``address``, or None."""
        index = bisect_right(self._lows, address) - 1
        return self._zones[index] if index >= 0 else None


def _guard_of(context: Context, thread: Thread, bounds: StackBounds, zones: _Zones) -> GuardRegion:
    area = bounds.range
    sp = thread.registers.sp if thread.registers is not None else None
    descriptor = context.descriptor(thread)
    own = descriptor.guard if descriptor is not None else None
    # Near sp, or at the low end: a runtime may have put a guard of its own inside the bounds (JVM yellow zones).
    reach = sp if sp is not None and area.low <= sp < area.high else area.low
    inner = zones.find_below(reach)
    if inner is not None and inner.range.high > area.low:
        return _region(inner.kind, inner.range, inner.source, area, sp)
    if own is not None:
        return _declared(context, own, zones, area, sp)
    if thread.is_main and bounds.source is Source.INFERRED:
        # Where the stack may grow to is not known (no RLIMIT_STACK): the gap is somewhere below.
        return GuardRegion(GuardKind.KERNEL_GAP, None, Source.INFERRED)
    if thread.is_main:
        return _kernel_gap(context, area, sp)
    below = zones.find_covering(area.low - 1)
    if below is not None:
        return _region(below.kind, below.range, below.source, area, sp)
    if descriptor is None and not context.snapshot.guard_flags_known:
        return GuardRegion(GuardKind.UNKNOWN, None, Source.UNKNOWN)
    return GuardRegion(GuardKind.NONE, None, Source.DESCRIPTOR if descriptor is not None else Source.MAPS)


def _declared(context: Context, own: AddressRange, zones: _Zones, area: AddressRange, sp: int | None) -> GuardRegion:
    """The guard libc's descriptor names: proved by the kernel where the kernel can tell."""
    zone = zones.find_covering(own.low)
    if zone is not None:
        # The descriptor's range, not the zone's: neighbouring zones without permissions merge into one mapping.
        return _region(zone.kind, own, zone.source, area, sp)
    if context.snapshot.guard_flags_known:
        return GuardRegion(GuardKind.NONE, None, Source.PAGEMAP)
    if context.snapshot.pages is None:
        # Nobody looked at the pages, and cores are not to be trusted on permissions: the descriptor is all there is.
        return _region(GuardKind.UNKNOWN, own, Source.DESCRIPTOR, area, sp)
    # The mapping is accessible, and this kernel cannot show guard markers: it can only be one of those.
    return _region(GuardKind.MADVISE, own, Source.INFERRED, area, sp)


def _kernel_gap(context: Context, area: AddressRange, sp: int | None) -> GuardRegion:
    """The gap below the main stack: it moves up to the mapping below where that one is nearer than the size limit."""
    gap = KERNEL_GAP_PAGES * context.snapshot.architecture.page_size
    floor = max((m.range.high for m in context.snapshot.mappings if m.range.high <= area.low), default=0)
    high = max(area.low, min(floor + gap, area.high))
    return _region(GuardKind.KERNEL_GAP, AddressRange(max(high - gap, 0), high), Source.INFERRED, area, sp)


def is_at_end(sp: int | None, low: int) -> bool:
    """Whether ``sp`` stands where an overflow of the stack that ends at ``low`` leaves it: below, or within one large frame above. A
    guard that is touched from elsewhere was reached by a stray pointer. False when ``sp`` is not known."""
    return sp is not None and sp < low + LARGE_FRAME


def _region(kind: GuardKind, zone: AddressRange, source: Source, area: AddressRange, sp: int | None) -> GuardRegion:
    # sp counts while it is on this stack or in the guard below it; on an alternate stack it tells nothing of this guard.
    near = sp is not None and zone.low <= sp <= area.high
    return GuardRegion(kind, zone, source, sp - zone.high if near and sp is not None else None)
