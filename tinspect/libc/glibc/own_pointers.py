"""The words glibc itself keeps that point from one thread's stack block, or from its globals, into another's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tinspect.libc.glibc.layout import PthreadLayout
from tinspect.libc.glibc.lists import StackLists, walk_list
from tinspect.libc.glibc.threads import find_start_routine
from tinspect.libc.protocol import LibcThreads, OwnPointer
from tinspect.target.memory import MemoryReader
from tinspect.target.target import Snapshot

_JOIN_BEFORE_START = (
    24  # joinid lies three words before start_routine, 2.31 to 2.42 (nptl/descr.h); 2.43 holds no pointer there
)
_MOST_ROBUST = 4096


def own_pointers(
    snapshot: Snapshot, layout: PthreadLayout, lists: StackLists, threads: LibcThreads
) -> Iterator[OwnPointer]:
    """List links and heads, robust mutex links, who joins, and the start argument that every descriptor keeps."""
    memory = snapshot.memory
    for head in lists.all:
        yield from _both_links("thread list", head)
    if lists.cache is not None:
        for node in walk_list(memory, lists.cache):
            yield from _both_links("thread list", node)
    for descriptor in threads.descriptors.values():
        yield from _both_links("thread list", descriptor.address + layout.links)
        yield from _robust_links(memory, descriptor.address + layout.robust_list)
        start = find_start_routine(snapshot, layout, descriptor.address)
        if start is not None:
            yield OwnPointer("join waiter", start - _JOIN_BEFORE_START)
            yield OwnPointer("start argument", start + 8)


def _both_links(origin: str, node: int) -> Iterator[OwnPointer]:
    yield OwnPointer(origin, node)
    yield OwnPointer(origin, node + 8)


def _robust_links(memory: MemoryReader, head: int) -> Iterator[OwnPointer]:
    """The head's word and those of every mutex on the list: each node is the pair (previous, next), linked by its second word."""
    yield OwnPointer("robust list", head)
    for link in islice(walk_list(memory, head), _MOST_ROBUST):
        node = link & ~1  # bit 0 marks a priority-inheritance mutex (nptl/descr.h, ENQUEUE_MUTEX_PI)
        yield OwnPointer("robust list", node)
        yield OwnPointer("robust list", node - 8)
