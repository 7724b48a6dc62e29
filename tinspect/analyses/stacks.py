"""How large is each thread's stack, how much of it is used, how much ever was, and which stack does the thread run on?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.analyses.guards import KERNEL_GAP_PAGES
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.source import Source
from tinspect.model.stack import RunningOn, SignalStack, StackBounds, StackUse
from tinspect.model.thread import Thread
from tinspect.target.memory import MemoryReader
from tinspect.target.target import PageFlag, PageRun

# Bytes looked at at once. From 128 KiB on malloc gives each buffer fresh pages, which cost more than the comparison.
_CHUNK = 64 << 10
_ZEROS = bytes(_CHUNK)
_STRIPPED = 4096


@dataclass(frozen=True, slots=True)
class Stacks:
    """Bounds and use of every thread's stack by tid. A thread without bounds is missing from ``bounds`` and has a gap."""

    bounds: Mapping[int, StackBounds]
    use: Mapping[int, StackUse]
    gaps: tuple[Gap, ...]


def analyze(context: Context, signal_stacks: Mapping[int, SignalStack]) -> Stacks:
    """Bounds, use and peak of every captured thread."""
    bounds: dict[int, StackBounds] = {}
    use: dict[int, StackUse] = {}
    gaps: list[Gap] = []
    inference = _Inference(context, signal_stacks)
    touched = TouchedPages(context.snapshot.pages) if context.snapshot.pages is not None else None
    for thread in context.snapshot.threads:
        if thread.state in {"zombie", "dead"}:
            continue
        found = _bounds_of(context, thread) or inference.bounds_of(thread)
        if found is None:
            gaps.append(Gap("stack", "neither libc nor its stack pointer tells which memory is its stack.", thread.tid))
            use[thread.tid] = StackUse(None, None)
            continue
        bounds[thread.tid] = found
        use[thread.tid] = _use_of(context, thread, found, signal_stacks.get(thread.tid), touched)
    return Stacks(bounds, use, tuple(gaps))


def _bounds_of(context: Context, thread: Thread) -> StackBounds | None:
    descriptor = context.descriptor(thread)
    return descriptor.bounds if descriptor is not None else None


class _Inference:
    """Bounds for threads that no libc knows: the part of the mapping around sp that belongs to nobody else."""

    def __init__(self, context: Context, signal_stacks: Mapping[int, SignalStack]) -> None:
        self._context = context
        descriptors = context.libc_threads.descriptors.values()
        taken = [d.stack_block for d in descriptors if d.stack_block is not None]
        taken += [cached.range for cached in context.libc_threads.cached]
        taken += [s.range for s in signal_stacks.values() if s.range is not None]
        taken += [run.range for run in context.snapshot.pages or () if run.flag is PageFlag.GUARD]
        self._taken = sorted(taken)

    def bounds_of(self, thread: Thread) -> StackBounds | None:
        """The free surroundings of the thread's sp inside its mapping, marked as inferred."""
        if thread.registers is None:
            return None
        sp = thread.registers.sp
        mapping = self._context.snapshot.mappings.find(sp)
        if mapping is None or not mapping.is_writable:
            return None
        low, high = mapping.range.low, mapping.range.high
        for area in self._taken:
            if area.high <= sp:
                low = max(low, area.high)
            elif area.low > sp:
                high = min(high, area.low)
        return StackBounds(AddressRange(low, high), Source.INFERRED)


class TouchedPages:
    """Answers what is the lowest touched byte of a range, from page runs sorted by address."""

    def __init__(self, pages: tuple[PageRun, ...]) -> None:
        self._runs = [run.range for run in pages if run.flag in {PageFlag.PRESENT, PageFlag.SWAPPED}]

    def lowest(self, area: AddressRange) -> int | None:
        """The lowest touched address inside ``area``, or None when no page of it was touched."""
        low, high = 0, len(self._runs)
        while low < high:  # the first run that ends above area.low
            middle = (low + high) // 2
            if self._runs[middle].high <= area.low:
                low = middle + 1
            else:
                high = middle
        if low == len(self._runs) or self._runs[low].low >= area.high:
            return None
        return max(self._runs[low].low, area.low)


def _use_of(
    context: Context,
    thread: Thread,
    bounds: StackBounds,
    signal_stack: SignalStack | None,
    touched: TouchedPages | None,
) -> StackUse:
    area = bounds.range
    running_on = _running_on(thread, _with_guard(context, thread, area), signal_stack)
    sp, used_source = _own_stack_pointer(context, thread, area, running_on)
    used = area.high - sp if sp is not None else None
    if touched is not None:
        lowest, peak_source = touched.lowest(area), Source.PAGEMAP
    else:
        lowest, peak_source = lowest_nonzero(context.snapshot.memory, area, sp), Source.ZERO_SCAN
    peak = area.high - lowest if lowest is not None else None
    if used is not None and (peak is None or peak < used):
        peak, peak_source = used, used_source
    return StackUse(
        used,
        peak,
        used_source if used is not None else Source.UNKNOWN,
        peak_source if peak is not None else Source.UNKNOWN,
        running_on,
    )


def _with_guard(context: Context, thread: Thread, area: AddressRange) -> AddressRange:
    """The stack and the guard below it, where sp still is a stack pointer of this stack: one that ran over its end."""
    descriptor = context.descriptor(thread)
    guard = descriptor.guard if descriptor is not None else None
    if guard is not None and guard.high == area.low:
        return AddressRange(guard.low, area.high)
    gap = KERNEL_GAP_PAGES * context.snapshot.architecture.page_size if thread.is_main else 0
    return AddressRange(max(area.low - gap, 0), area.high)


def _running_on(thread: Thread, area: AddressRange, signal_stack: SignalStack | None) -> RunningOn:
    if thread.registers is None:
        return RunningOn.UNKNOWN
    sp = thread.registers.sp
    # The alternate stack first: a program may have placed it inside the thread's own stack.
    if signal_stack is not None and signal_stack.range is not None and sp in signal_stack.range:
        return RunningOn.ALTSTACK
    # sp == high is an empty stack, not a foreign one.
    return RunningOn.STACK if area.low <= sp <= area.high else RunningOn.FOREIGN


def _own_stack_pointer(
    context: Context, thread: Thread, area: AddressRange, running_on: RunningOn
) -> tuple[int | None, Source]:
    """sp on the thread's own stack: its register (the stack's end, where it ran over that), or the frame it left when it switched to
    another stack."""
    if running_on is RunningOn.STACK and thread.registers is not None:
        return max(thread.registers.sp, area.low), Source.REGISTERS
    call_stack = context.call_stacks.get(thread.tid)
    for frame in call_stack.frames if call_stack else ():
        if frame.index > 0 and area.low <= frame.sp <= area.high:
            return frame.sp, Source.UNWIND
    return None, Source.UNKNOWN


def lowest_nonzero(memory: MemoryReader, area: AddressRange, sp: int | None) -> int | None:
    """The lowest non-zero byte of ``area`` that can be read, looked for below ``sp`` only (or everywhere when it is None)."""
    wanted = AddressRange(area.low, max(area.low, sp if sp is not None else area.high))
    for part in memory.readable(wanted):
        for low in range(part.low, part.high, _CHUNK):
            data = memory.read(low, min(_CHUNK, part.high - low))
            if data != (_ZEROS if len(data) == _CHUNK else _ZEROS[: len(data)]):
                return low + _first_nonzero(data)
    return sp


def _first_nonzero(data: bytes) -> int:
    """Where the first byte that is not zero stands. By pages first: comparing is far faster than stripping byte by byte."""
    for start in range(0, len(data), _STRIPPED):
        page = data[start : start + _STRIPPED]
        if page != _ZEROS[: len(page)]:
            return start + len(page) - len(page.lstrip(b"\0"))
    return len(data)
