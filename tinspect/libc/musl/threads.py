"""Descriptors of every living thread of musl's."""

from __future__ import annotations

import struct

from tinspect.errors import MemoryUnreadable
from tinspect.libc.main_stack import musl_main_stack, told_page_size
from tinspect.libc.musl.layout import Descriptor, PthreadLayout, find_descriptor, walk_circle
from tinspect.libc.protocol import LibcThreads, ThreadDescriptor
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.gap import Gap
from tinspect.model.source import Source
from tinspect.model.stack import StackBounds
from tinspect.target.memory import find_word
from tinspect.target.target import Snapshot, Target

START_ARGUMENTS = 32  # struct start_args at the end of the stack: start_func, start_arg, control, sig_mask (src/thread/pthread_create.c)
_RECOGNISED_ENTRIES = 3
_SEARCHED_BYTES = 8 << 20  # of the top of the main stack: the environment may be large


def read_threads(snapshot: Snapshot, layout: PthreadLayout, auxv: int | None) -> LibcThreads:
    """Every thread musl knows, by the kernel's tid. Threads made without it (raw clone) are left out without a word."""
    gaps: list[Gap] = []
    found: dict[int, Descriptor] = {}
    tids = {thread.namespace_tid or thread.tid: thread.tid for thread in snapshot.threads}
    for thread in snapshot.threads:
        if not thread.thread_pointer:
            continue
        descriptor = find_descriptor(snapshot.memory, layout, thread.thread_pointer)
        if descriptor is None:
            gaps.append(Gap("stack", f"its descriptor at {thread.thread_pointer:#x} could not be read.", thread.tid))
        elif descriptor.is_sound and descriptor.tid == (thread.namespace_tid or thread.tid):
            found[thread.tid] = descriptor
    for start in tuple(found.values())[:1]:
        for descriptor in walk_circle(snapshot.memory, layout, start.address):
            tid = tids.get(descriptor.tid)
            if tid is not None and descriptor.is_sound:
                found.setdefault(tid, descriptor)
    descriptors = {}
    for tid, descriptor in found.items():
        if descriptor.is_initial:
            bounds = _main_bounds(snapshot, auxv, gaps, tid)
            descriptors[tid] = ThreadDescriptor(tid, descriptor.address, layout.size, True, bounds)
        else:
            descriptors[tid] = _describe(snapshot, layout, tid, descriptor)
    return LibcThreads(descriptors, (), tuple(gaps))


def _describe(snapshot: Snapshot, layout: PthreadLayout, tid: int, descriptor: Descriptor) -> ThreadDescriptor:
    usable = AddressRange(descriptor.stack_end - descriptor.stack_size, descriptor.stack_end)
    own = None if descriptor.has_user_stack else descriptor.map
    start, argument = _start(snapshot, descriptor)
    return ThreadDescriptor(
        tid=tid,
        address=descriptor.address,
        size=layout.size,
        is_main=tid == snapshot.facts.pid,
        bounds=StackBounds(usable, Source.DESCRIPTOR),
        stack_block=own or usable,
        guard=AddressRange.sized(own.low, descriptor.guard_size) if own and descriptor.guard_size else None,
        user_stack=descriptor.has_user_stack,
        start_routine=start,
        start_argument=argument,
        reported_guard_size=descriptor.guard_size,
    )


def start_arguments(stack_end: int) -> int:
    """Where pthread_create left start_func and start_arg for the thread whose stack ends at ``stack_end``."""
    return stack_end // 8 * 8 - START_ARGUMENTS


def _start(snapshot: Snapshot, descriptor: Descriptor) -> tuple[int | None, int | None]:
    place = start_arguments(descriptor.stack_end)
    start = find_word(snapshot.memory, place)
    mapping = snapshot.mappings.find(start) if start else None
    if mapping is None or not mapping.is_executable:
        return None, None
    return start, find_word(snapshot.memory, place + 8)


def _main_bounds(snapshot: Snapshot, auxv: int | None, gaps: list[Gap], tid: int) -> StackBounds | None:
    page = told_page_size(snapshot)
    bounds = musl_main_stack(snapshot.mappings, auxv, page) if auxv is not None else None
    if bounds is None:
        gaps.append(Gap("stack", "the auxiliary vector, from which musl reckons, was not found on the stack.", tid))
        return None
    return StackBounds(bounds, Source.MAPS)


def find_auxv(target: Target) -> int | None:
    """The address of the auxiliary vector, which the kernel put above the environment at the top of the main stack; or None.

    It is recognised by its first entries, in the order the facts have them, after the null that ends the environment.
    """
    stack = target.mappings.find_named("[stack]")
    first = list(target.facts.auxv.items())[:_RECOGNISED_ENTRIES]
    if stack is None or len(first) < _RECOGNISED_ENTRIES:
        return None
    wanted = b"".join(struct.pack("<QQ", key, value % ADDRESS_LIMIT) for key, value in first)
    low = max(stack.range.low, stack.range.high - _SEARCHED_BYTES)
    for part in reversed(target.memory.readable(AddressRange(low, stack.range.high))):
        try:
            place = target.memory.read(part.low, part.size).find(bytes(8) + wanted)
        except MemoryUnreadable:
            continue
        if place >= 0:
            return part.low + place + 8
    return None
