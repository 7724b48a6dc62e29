"""Where a stray pointer could point: every stack, guard, alternate stack and cached stack of the process, by address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from tinspect.analyses.context import Context
from tinspect.model.address import AddressRange
from tinspect.model.frame import CallStack
from tinspect.model.stack import CachedStack, GuardRegion, SignalStack, StackBounds
from tinspect.model.thread import Thread


class Region(StrEnum):
    """The kinds of destination: the ``region`` of a ReferenceTarget."""

    STACK = "stack"
    ALTSTACK = "altstack"
    GUARD = "guard"
    CACHED_STACK = "cached_stack"


@dataclass(frozen=True, slots=True)
class Destination:
    """One range a reference may point into.

    ``tid`` is its thread (of a cached stack: None). ``live_from`` is the lowest address in use: the stack pointer less the red zone
    (None when it is not known, ``range.high`` when nothing of it is in use). ``frames_end`` is where call frames end and what lies above
    them begins: thread-local storage and descriptor, or the program's arguments and environment.
    """

    range: AddressRange
    region: Region
    tid: int | None
    live_from: int | None
    frames_end: int
    block_low: int
    call_stack: CallStack | None = None
    cached: CachedStack | None = None


class Destinations:
    """All destinations, disjoint and sorted: of two that overlap, the more specific one wins (an alternate stack on a stack)."""

    def __init__(
        self,
        context: Context,
        bounds: Mapping[int, StackBounds],
        guards: Mapping[int, GuardRegion],
        signal_stacks: Mapping[int, SignalStack],
    ) -> None:
        wanted = [*_of_threads(context, bounds, guards, signal_stacks), *_of_cached(context)]
        self._entries = _disjoint(wanted)
        self._lows = [entry.range.low for entry in self._entries]
        self._ranges = tuple(entry.range for entry in self._entries)

    def __iter__(self) -> Iterator[Destination]:
        return iter(self._entries)

    @property
    def ranges(self) -> tuple[AddressRange, ...]:
        """The ranges alone, sorted and disjoint: what a scan looks for."""
        return self._ranges

    def find(self, value: int) -> Destination | None:
        """The destination that ``value`` points into, or None."""
        index = bisect_right(self._lows, value) - 1
        if index < 0 or value not in self._entries[index].range:
            return None
        return self._entries[index]


def _of_threads(
    context: Context,
    bounds: Mapping[int, StackBounds],
    guards: Mapping[int, GuardRegion],
    signal_stacks: Mapping[int, SignalStack],
) -> Iterator[Destination]:
    for thread in context.snapshot.threads:
        signal_stack = signal_stacks.get(thread.tid)
        if signal_stack is not None and signal_stack.range is not None:
            yield _of_signal_stack(context, thread, signal_stack.range)
        area, guard = bounds.get(thread.tid), guards.get(thread.tid)
        if area is not None:
            yield _of_stack(context, thread, area.range)
        if guard is not None and guard.range is not None:
            low = guard.range.low
            yield Destination(guard.range, Region.GUARD, thread.tid, None, guard.range.high, low)


def _of_signal_stack(context: Context, thread: Thread, area: AddressRange) -> Destination:
    live = _live_from(context, thread, area)
    stack = context.call_stacks.get(thread.tid)
    return Destination(
        area, Region.ALTSTACK, thread.tid, area.high if live is None else live, area.high, area.low, stack
    )


def _of_stack(context: Context, thread: Thread, area: AddressRange) -> Destination:
    call_stack = context.call_stacks.get(thread.tid)
    ends = (
        [frame.cfa for frame in call_stack.frames if frame.cfa is not None and frame.cfa in area] if call_stack else []
    )
    descriptor = context.descriptor(thread)
    end = descriptor.address if descriptor is not None and descriptor.address in area else area.high
    block = descriptor.stack_block.low if descriptor is not None and descriptor.stack_block is not None else area.low
    if call_stack is not None and call_stack.complete and ends:
        end = min(end, max(ends))
    live = _live_from(context, thread, area)
    return Destination(area, Region.STACK, thread.tid, live, end, block, call_stack)


def _live_from(context: Context, thread: Thread, area: AddressRange) -> int | None:
    """The lowest address of ``area`` that a frame of the thread uses now, or None when none is known to."""
    red_zone = context.snapshot.architecture.red_zone
    if thread.registers is not None and area.low <= thread.registers.sp <= area.high:
        return max(area.low, thread.registers.sp - red_zone)
    call_stack = context.call_stacks.get(thread.tid)
    inside = [frame.sp for frame in call_stack.frames if area.low <= frame.sp <= area.high] if call_stack else []
    return max(area.low, min(inside) - red_zone) if inside else None


def _of_cached(context: Context) -> Iterator[Destination]:
    for cached in context.libc_threads.cached:
        end = cached.descriptor if cached.descriptor is not None else cached.range.high
        yield Destination(
            cached.range, Region.CACHED_STACK, None, cached.range.high, end, cached.range.low, None, cached
        )


_PRIORITY = {Region.ALTSTACK: 0, Region.GUARD: 1, Region.STACK: 2, Region.CACHED_STACK: 3}


def _disjoint(wanted: list[Destination]) -> list[Destination]:
    """Sweeps the address space: where destinations overlap, the more specific one keeps the addresses."""
    waiting = sorted(wanted, key=lambda entry: entry.range.low, reverse=True)
    active: list[Destination] = []
    result: list[Destination] = []
    for low, high in pairwise(sorted({end for entry in wanted for end in (entry.range.low, entry.range.high)})):
        while waiting and waiting[-1].range.low <= low:
            active.append(waiting.pop())
        active = [entry for entry in active if entry.range.high > low]
        if active:
            winner = min(active, key=lambda entry: _PRIORITY[entry.region])
            result.append(replace(winner, range=AddressRange(low, high)))
    return result
