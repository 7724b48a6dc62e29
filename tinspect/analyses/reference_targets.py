"""Where a stray pointer could point: every stack, guard, alternate stack and cached stack of the process, by address."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from tinspect.analyses.context import Context
from tinspect.formats.auxv import AT_ENTRY
from tinspect.model.address import AddressRange, merged
from tinspect.model.stack import GuardRegion, SignalStack, StackBounds
from tinspect.model.thread import Thread

# A scan compares every word with every range it looks for: it looks for a few large ones; what lies between destinations is dropped.
_MOST_SEARCHED = 16
_ENTRY_CODE = 64  # _start is shorter in every libc


class Region(StrEnum):
    """The kinds of destination: the ``region`` of a ReferenceTarget."""

    STACK = "stack"
    ALTSTACK = "altstack"
    GUARD = "guard"
    CACHED_STACK = "cached_stack"


@dataclass(frozen=True, slots=True)
class Destination:
    """One range a reference may point into.

    ``tid`` is its thread (of a cached stack: None). ``live_from`` is the lowest address that frames use: the stack pointer (None when
    it is not known, the end of the range when nothing of it is in use). ``frames_end`` is where call frames end and what
    lies above them begins: thread-local storage and descriptor, or the program's arguments and environment. ``bases`` are the
    addresses that libc and the program know the whole by: where the stack begins, with its guard and without.
    """

    range: AddressRange
    region: Region
    tid: int | None
    live_from: int | None
    frames_end: int
    bases: tuple[int, ...]


class Destinations:
    """All destinations, disjoint and sorted: of two that overlap, the more specific one wins (an alternate stack on a stack)."""

    def __init__(
        self,
        context: Context,
        bounds: Mapping[int, StackBounds],
        guards: Mapping[int, GuardRegion],
        signal_stacks: Mapping[int, SignalStack],
    ) -> None:
        wanted = [*_of_threads(context, bounds, guards, signal_stacks), *_of_cached(context, bounds)]
        self._entries = _disjoint(wanted)
        self._lows = [entry.range.low for entry in self._entries]
        self._own: defaultdict[int | None, list[AddressRange]] = defaultdict(list)
        for entry in self._entries:
            self._own[entry.tid].append(entry.range)
        self._frames_end = {entry.tid: entry.frames_end for entry in wanted if entry.region is Region.STACK}
        self._searched = _clustered([entry.range for entry in self._entries])

    @property
    def ranges(self) -> tuple[AddressRange, ...]:
        """The ranges alone, sorted and disjoint."""
        return tuple(entry.range for entry in self._entries)

    def searched(self, tid: int | None) -> tuple[AddressRange, ...]:
        """What a scan of thread ``tid``'s words looks for: a few ranges that cover all destinations but the thread's own."""
        own = self._own[tid] if tid is not None else []
        return tuple(part for area in self._searched for part in without(area, own))

    def frames_end(self, tid: int) -> int | None:
        """Where the call frames on thread ``tid``'s stack end; None when its stack is not known."""
        return self._frames_end.get(tid)

    def is_beyond(self, tid: int, value: int) -> bool:
        """Whether ``value`` points into a destination that is not thread ``tid``'s own."""
        destination = self.find(value)
        return destination is not None and destination.tid != tid

    def find(self, value: int) -> Destination | None:
        """The destination that ``value`` points into, or None."""
        index = bisect_right(self._lows, value) - 1
        if index < 0 or value not in self._entries[index].range:
            return None
        return self._entries[index]


def without(area: AddressRange, taken: Sequence[AddressRange]) -> Iterator[AddressRange]:
    """The parts of ``area`` that none of ``taken`` (sorted, disjoint) covers."""
    low = area.low
    for position in range(max(bisect_right(taken, area.low, key=_low) - 1, 0), len(taken)):
        hole = taken[position]
        if hole.low >= area.high:
            break
        if hole.low > low:
            yield AddressRange(low, hole.low)
        low = max(low, hole.high)
    if low < area.high:
        yield area if low == area.low else AddressRange(low, area.high)


def _low(area: AddressRange) -> int:
    return area.low


def _clustered(ranges: Sequence[AddressRange]) -> tuple[AddressRange, ...]:
    """At most _MOST_SEARCHED ranges that cover ``ranges``: apart where the widest gaps are."""
    joined = merged(ranges)
    gaps = sorted((after.low - before.high for before, after in pairwise(joined)), reverse=True)
    least = gaps[_MOST_SEARCHED - 1] if len(gaps) >= _MOST_SEARCHED else 0
    result: list[AddressRange] = []
    for area in joined:
        if result and area.low - result[-1].high <= least:
            result[-1] = AddressRange(result[-1].low, area.high)
        else:
            result.append(area)
    return tuple(result)


def _of_threads(
    context: Context,
    bounds: Mapping[int, StackBounds],
    guards: Mapping[int, GuardRegion],
    signal_stacks: Mapping[int, SignalStack],
) -> Iterator[Destination]:
    for thread in context.snapshot.threads:
        signal_stack = signal_stacks.get(thread.tid)
        if signal_stack is not None and signal_stack.range is not None:
            area = signal_stack.range
            live = _live_from(context, thread, area)
            yield Destination(
                area, Region.ALTSTACK, thread.tid, area.high if live is None else live, area.high, (area.low,)
            )
        stack, guard = bounds.get(thread.tid), guards.get(thread.tid)
        if stack is not None:
            yield _of_stack(context, thread, stack.range)
        if guard is not None and guard.range is not None:
            yield Destination(guard.range, Region.GUARD, thread.tid, None, guard.range.high, (guard.range.low,))


def _of_stack(context: Context, thread: Thread, area: AddressRange) -> Destination:
    descriptor = context.descriptor(thread)
    end = descriptor.address if descriptor is not None and descriptor.address in area else area.high
    block = descriptor.stack_block.low if descriptor is not None and descriptor.stack_block is not None else area.low
    outermost = _end_of_frames(context, thread, area)
    return Destination(
        area,
        Region.STACK,
        thread.tid,
        _live_from(context, thread, area),
        end if outermost is None else min(end, outermost),
        (area.low, block),
    )


def _end_of_frames(context: Context, thread: Thread, area: AddressRange) -> int | None:
    """Where the outermost frame ends, when unwinding came so far."""
    call_stack = context.call_stacks.get(thread.tid)
    if call_stack is None:
        return None
    if thread.is_main:
        # The program's entry code runs right below what the kernel put on the stack: argument count, arguments, environment.
        entry = context.snapshot.facts.auxv.get(AT_ENTRY, 0)
        for frame in call_stack.frames:
            if (entry <= frame.pc < entry + _ENTRY_CODE or frame.function == "_start") and frame.sp in area:
                return frame.sp
    if not call_stack.complete:
        return None
    return max((frame.cfa for frame in call_stack.frames if frame.cfa is not None and frame.cfa in area), default=None)


def _live_from(context: Context, thread: Thread, area: AddressRange) -> int | None:
    """The lowest address of ``area`` that a frame of the thread uses now, or None when none is known to."""
    if thread.registers is not None and area.low <= thread.registers.sp <= area.high:
        return thread.registers.sp
    call_stack = context.call_stacks.get(thread.tid)
    inside = [frame.sp for frame in call_stack.frames if area.low <= frame.sp <= area.high] if call_stack else []
    return min(inside, default=None)


def _of_cached(context: Context, bounds: Mapping[int, StackBounds]) -> Iterator[Destination]:
    above = _bytes_above_frames(context, bounds)
    for cached in context.libc_threads.cached:
        end = cached.descriptor - above if cached.descriptor is not None else cached.range.high
        area = cached.range
        bases = (area.low, area.low + cached.guard_size)
        yield Destination(area, Region.CACHED_STACK, None, area.high, max(end, area.low), bases)


def _bytes_above_frames(context: Context, bounds: Mapping[int, StackBounds]) -> int:
    """Bytes between the outermost frame and the descriptor, which static thread-local storage takes: the same in every thread."""
    found = []
    for thread in context.snapshot.threads:
        stack, descriptor = bounds.get(thread.tid), context.descriptor(thread)
        if stack is None or descriptor is None or descriptor.address not in stack.range:
            continue
        outermost = _end_of_frames(context, thread, stack.range)
        if outermost is not None and outermost <= descriptor.address:
            found.append(descriptor.address - outermost)
    return min(found, default=0)


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
            whole = (winner.range.low, winner.range.high) == (low, high)
            result.append(winner if whole else replace(winner, range=AddressRange(low, high)))
    return result
