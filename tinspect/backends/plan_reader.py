"""Carries out a capture plan by reading a running process: what the one call into C does during a stop, for a capture without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinspect.backends.page_runs import block_by_rule
from tinspect.backends.process_memory import PAGE_PRESENT, PAGE_SWAPPED, clipped
from tinspect.model.address import AddressRange, merged
from tinspect.model.mapping import MappingTable
from tinspect.model.thread import Thread
from tinspect.native import _inspect
from tinspect.target.memory import MemoryReader, SegmentMemory, find_word
from tinspect.target.plan import CapturePlan, LinkedList, ThreadChain, ThreadTable

_PIECE = 1 << 20


def process_parts(plan: CapturePlan, memory: MemoryReader) -> Iterator[AddressRange]:
    """The ranges of the plan that belong to no single thread: fixed ones, and the records of lists."""
    yield from plan.fixed
    for entry in plan.lists:
        yield from _list_ranges(memory, entry)


def list_pointers(plan: CapturePlan, memory: MemoryReader) -> Iterator[int]:
    """The thread pointers of the descriptors in the plan's lists: a list's record is what the plan copies around each thread pointer."""
    offsets = {size: offset for offset, size in plan.thread_relative}
    for entry in plan.lists:
        if entry.record_size in offsets:
            for area in _list_ranges(memory, entry):
                if area.size == entry.record_size:
                    yield area.low - offsets[entry.record_size]


def thread_parts(thread: Thread, plan: CapturePlan, memory: MemoryReader) -> Iterator[AddressRange]:
    """The ranges of the plan that hang on the thread's registers, its thread pointer first of all."""
    for name, before, size in plan.register_pointers:
        value = thread.registers.get(name) if thread.registers is not None else None
        if value:
            yield from _sized(value - before, size)
    pointer = thread.thread_pointer
    if pointer is None:
        return
    for offset, size in plan.thread_relative:
        yield from _sized(pointer + offset, size)
    for table in plan.thread_tables:
        yield from _table_ranges(memory, pointer, table)
    for chain in plan.thread_chains:
        yield from _chain_ranges(memory, pointer, chain)


def stack_parts(
    thread: Thread, plan: CapturePlan, memory: MemoryReader, mappings: MappingTable, red_zone: int
) -> Iterator[AddressRange]:
    """The live stack of the thread: from its sp less the red zone to the top, no more than the plan's cap. While it runs on another
    stack than its descriptor names, both: which part of its own is in use only unwinding can tell."""
    if thread.registers is None:
        return
    sp = thread.registers.sp
    block = block_by_rule(thread, memory, plan.stack_rule)
    if block is None or sp not in block:
        if block is not None:
            yield AddressRange(max(block.low, block.high - plan.stack_cap), block.high)
        mapping = mappings.find(sp)
        block = mapping.range if mapping is not None else None
    if block is not None:
        low = max(sp - red_zone, block.low)
        yield AddressRange(low, min(block.high, low + plan.stack_cap))


def read_touched(pid: int, areas: Iterable[AddressRange]) -> Iterator[tuple[int, bytes]]:
    """The bytes of the pages in ``areas`` that hold something, as (address, bytes). No page is faulted in. Raises OSError."""
    wanted = merged(areas)
    runs = _inspect.page_states(pid, [(area.low, area.high) for area in wanted])
    touched = merged(AddressRange(low, high) for low, high, flags in runs if flags & (PAGE_PRESENT | PAGE_SWAPPED))
    pieces = [
        (low, min(_PIECE, part.high - low))
        for part in clipped(touched, wanted)
        for low in range(part.low, part.high, _PIECE)
    ]
    for (low, _), data in zip(pieces, _inspect.read_ranges(pid, pieces), strict=True):
        if data is not None:
            yield low, data


def read_whole(pid: int, areas: Iterable[AddressRange]) -> Iterator[tuple[int, bytes]]:
    """The bytes of ``areas``, where they can be read. For small ranges: reading a page that was never touched maps the zero page."""
    pieces = [(area.low, area.size) for area in merged(areas)]
    for (low, _), data in zip(pieces, _inspect.read_ranges(pid, pieces), strict=True):
        if data is not None:
            yield low, data


def joined(segments: Iterable[tuple[int, bytes]]) -> SegmentMemory:
    """Segments as memory: of two that overlap, the later one's bytes are cut off where the earlier ends."""
    ordered = sorted(segments, key=lambda segment: segment[0])
    result: list[tuple[int, bytes]] = []
    end = 0
    for low, data in ordered:
        skip = max(end - low, 0)
        if skip < len(data):
            result.append((low + skip, data[skip:]))
            end = low + len(data)
    return SegmentMemory(result)


def _list_ranges(memory: MemoryReader, entry: LinkedList) -> Iterator[AddressRange]:
    node, seen = entry.head, set[int]()
    while node not in seen and len(seen) < entry.limit:
        seen.add(node)
        yield from _sized(node, 16)
        if node != entry.head:
            yield from _sized(node - entry.link_offset + entry.record_offset, entry.record_size)
        following = find_word(memory, node)
        if following is None:
            return
        node = following


def _table_ranges(memory: MemoryReader, pointer: int, table: ThreadTable) -> Iterator[AddressRange]:
    for index in range(table.count):
        target = find_word(memory, pointer + table.offset + 8 * index)
        if not target:
            continue
        yield from _sized(target - table.before, table.size)
        for offset, size in table.inner:
            inner = find_word(memory, target + offset)
            if inner:
                yield from _sized(inner, size)


def _chain_ranges(memory: MemoryReader, pointer: int, chain: ThreadChain) -> Iterator[AddressRange]:
    node, seen = find_word(memory, pointer + chain.offset), set[int]()
    while node and node not in seen and len(seen) < chain.limit:
        seen.add(node)
        yield from _sized(node + chain.record_offset, chain.record_size)
        node = find_word(memory, node + chain.next_offset)


def _sized(low: int, size: int) -> Iterator[AddressRange]:
    """A range, or none where hostile numbers leave the address space."""
    if low >= 0 and low + size <= 1 << 64 and size > 0:
        yield AddressRange(low, low + size)
