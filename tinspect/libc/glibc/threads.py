"""Descriptors of every living thread, and the stacks glibc keeps of finished ones."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.libc.glibc.layout import Descriptor, PthreadLayout
from tinspect.libc.glibc.lists import StackLists, read_descriptor, read_descriptors, walk_list
from tinspect.libc.main_stack import glibc_main_stack, told_page_size
from tinspect.libc.protocol import LibcThreads, ThreadDescriptor
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.source import Source
from tinspect.model.stack import CachedStack, StackBounds
from tinspect.target.memory import find_word
from tinspect.target.target import Snapshot

# start_routine stands before or after 8 bytes that moved in 2.32 to 2.34 and again in 2.43; where no descriptor tells, the first of
# these that points to code is it: in the newer layout the first word holds two small numbers (schedparam, schedpolicy).
_START_ROUTINE_PLACES = {"x86_64": (1592, 1600)}


def read_threads(snapshot: Snapshot, layout: PthreadLayout, lists: StackLists, stack_end: int | None) -> LibcThreads:
    """Every thread glibc knows, by the kernel's tid. Threads made without it (raw clone) are left out without a word.

    ``stack_end`` is __libc_stack_end where it is known: a program without libpthread (before 2.34) keeps no copy of it.
    """
    gaps: list[Gap] = []
    found = _by_thread_pointer(snapshot, layout, gaps)
    if len(found) < len(snapshot.threads):
        _add_listed(snapshot, layout, lists, found)
    user_given = {node - layout.links for node in walk_list(snapshot.memory, lists.user)} if lists.user else set()
    descriptors = {
        tid: _describe(snapshot, layout, tid, descriptor, user_given=descriptor.address in user_given, gaps=gaps)
        for tid, descriptor in found.items()
    }
    main = snapshot.threads[0] if snapshot.threads else None
    if main and main.is_main and main.tid not in descriptors and main.thread_pointer and stack_end:
        bounds = _main_bounds(snapshot, stack_end, gaps, main.tid)
        address = main.thread_pointer - layout.thread_pointer
        descriptors[main.tid] = ThreadDescriptor(main.tid, address, layout.size, True, bounds)
    if lists.cache is None and len(found) > 1:
        gaps.append(Gap("cached_stacks", "no symbol leads to glibc's list of cached stacks."))
    return LibcThreads(descriptors, tuple(_read_cached(snapshot, layout, lists)), tuple(gaps))


def _add_listed(snapshot: Snapshot, layout: PthreadLayout, lists: StackLists, found: dict[int, Descriptor]) -> None:
    tids = {thread.namespace_tid or thread.tid: thread.tid for thread in snapshot.threads}
    for head in lists.live:
        for descriptor in read_descriptors(snapshot.memory, layout, head):
            tid = tids.get(descriptor.tid)
            if tid is not None and descriptor.is_sound:
                found.setdefault(tid, descriptor)


def _by_thread_pointer(snapshot: Snapshot, layout: PthreadLayout, gaps: list[Gap]) -> dict[int, Descriptor]:
    found: dict[int, Descriptor] = {}
    for thread in snapshot.threads:
        if not thread.thread_pointer:
            continue
        address = thread.thread_pointer - layout.thread_pointer
        descriptor = read_descriptor(snapshot.memory, layout, address)
        if descriptor is None:
            gaps.append(Gap("stack", f"its descriptor at {address:#x} could not be read.", thread.tid))
        elif descriptor.tid != (thread.namespace_tid or thread.tid):
            continue  # a raw clone runs on its creator's descriptor, or on none: not a thread of libc's
        elif descriptor.is_sound:
            found[thread.tid] = descriptor
        else:
            gaps.append(Gap("stack", f"its descriptor at {address:#x} contradicts itself.", thread.tid))
    return found


def _describe(
    snapshot: Snapshot, layout: PthreadLayout, tid: int, descriptor: Descriptor, *, user_given: bool, gaps: list[Gap]
) -> ThreadDescriptor:
    block = descriptor.block
    if block is None:
        return ThreadDescriptor(
            tid, descriptor.address, layout.size, True, _main_bounds(snapshot, descriptor.stack_size, gaps, tid)
        )
    usable = AddressRange(block.low + descriptor.guard_size, block.high)
    guard = AddressRange(block.low, usable.low) if descriptor.guard_size and not user_given else None
    place = find_start_routine(snapshot, layout, descriptor.address)
    return ThreadDescriptor(
        tid=tid,
        address=descriptor.address,
        size=layout.size,
        is_main=tid == snapshot.facts.pid,
        bounds=StackBounds(usable, Source.DESCRIPTOR),
        stack_block=block,
        guard=guard,
        user_stack=user_given,
        start_routine=find_word(snapshot.memory, place) if place is not None else None,
        start_argument=find_word(snapshot.memory, place + 8) if place is not None else None,
        reported_guard_size=descriptor.reported_guard_size,
    )


def _main_bounds(snapshot: Snapshot, stack_end: int, gaps: list[Gap], tid: int) -> StackBounds | None:
    page = told_page_size(snapshot)
    limit = snapshot.facts.stack_limit
    bounds = glibc_main_stack(snapshot.mappings, stack_end, -1 if limit is None else limit, page)
    if bounds is None:
        gaps.append(Gap("stack", f"no mapping holds the end of the main stack, {stack_end:#x}.", tid))
        return None
    if limit is None:
        holder = snapshot.mappings.find(stack_end)
        low = holder.range.low if holder else bounds.low
        gaps.append(Gap("stack", "RLIMIT_STACK is not known: the lower bound is that of the mapped part.", tid))
        return StackBounds(AddressRange(low, bounds.high), Source.INFERRED)
    return StackBounds(bounds, Source.RLIMIT)


def find_start_routine(snapshot: Snapshot, layout: PthreadLayout, descriptor: int) -> int | None:
    """The address of the word start_routine in the descriptor at ``descriptor``; the argument follows. None when it is not known."""
    if layout.start_routine is not None:
        return descriptor + layout.start_routine
    for offset in _START_ROUTINE_PLACES.get(snapshot.architecture.name, ()):
        start = find_word(snapshot.memory, descriptor + offset)
        mapping = snapshot.mappings.find(start) if start else None
        if mapping is not None and mapping.is_executable:
            return descriptor + offset
    return None


def _read_cached(snapshot: Snapshot, layout: PthreadLayout, lists: StackLists) -> Iterator[CachedStack]:
    if lists.cache is None:
        return
    for descriptor in read_descriptors(snapshot.memory, layout, lists.cache):
        block = descriptor.block
        if block is not None and descriptor.is_sound:
            yield CachedStack(block, descriptor.guard_size, Source.DESCRIPTOR, descriptor=descriptor.address)
