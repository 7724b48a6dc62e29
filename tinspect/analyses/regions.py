"""The address space labelled: whose stack, guard or alternate stack each piece is (the spelling is illumos pmap's)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tinspect.analyses.context import Context
from tinspect.model.report import MemoryRegion
from tinspect.model.stack import GuardRegion, SignalStack, StackBounds


def analyze(
    context: Context,
    bounds: Mapping[int, StackBounds],
    guards: Mapping[int, GuardRegion],
    signal_stacks: Mapping[int, SignalStack],
) -> tuple[MemoryRegion, ...]:
    """Every region that belongs to a thread or to a cached stack, by address."""
    found = [*_of_threads(bounds, guards, signal_stacks)]
    for cached in context.libc_threads.cached:
        label = f"[ cached stack tid={cached.tid} ]" if cached.tid else "[ cached stack ]"
        found.append(MemoryRegion(cached.range, label, "cached_stack", cached.tid))
    return tuple(sorted(found, key=lambda region: (region.range, region.kind)))


def _of_threads(
    bounds: Mapping[int, StackBounds], guards: Mapping[int, GuardRegion], signal_stacks: Mapping[int, SignalStack]
) -> Iterator[MemoryRegion]:
    for tid, stack in bounds.items():
        yield MemoryRegion(stack.range, f"[ stack tid={tid} ]", "stack", tid)
    for tid, guard in guards.items():
        if guard.range is not None:
            yield MemoryRegion(guard.range, f"[ guard tid={tid} ]", "guard", tid)
    for tid, signal_stack in signal_stacks.items():
        if signal_stack.range is not None:
            yield MemoryRegion(signal_stack.range, f"[ altstack tid={tid} ]", "altstack", tid)
