"""A static program without symbols: its initial thread's descriptor is found by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.libc.glibc.learn import X86_64_TABLE
from tinspect.libc.glibc.lists import read_descriptor
from tinspect.libc.self_pointers import find_self_pointers
from tinspect.model.address import AddressRange
from tinspect.target.memory import find_word
from tinspect.target.target import Target

_SEARCH_LIMIT = 1 << 20
_SEARCH_START = 64 << 10  # of each mapping: the storage is the first thing that is allocated
_MOST_ARGUMENTS = 1 << 20


def find_initial_descriptors(target: Target) -> Iterator[int]:
    """Addresses of descriptors that prove themselves by the table of fields; nothing on architectures without a table.

    The thread pointers are asked where they are known; else the start of the heap is searched, where csu/libc-tls.c puts the
    initial thread's storage (__sbrk until 2.34, _dl_early_allocate since, which takes a mapping when sbrk fails).
    """
    if target.architecture.name != "x86_64":
        return
    tids = {thread.namespace_tid or thread.tid for thread in target.threads}
    pointers = [thread.thread_pointer for thread in target.threads if thread.thread_pointer]
    for address in pointers or find_self_pointers(target.memory, _places(target), _SEARCH_LIMIT):
        descriptor = read_descriptor(target.memory, X86_64_TABLE, address)
        if descriptor is None or not descriptor.is_sound or descriptor.tid not in tids:
            continue
        if not descriptor.is_initial or _is_stack_end(target, descriptor.stack_size):
            yield address
            if not pointers:
                return


def _places(target: Target) -> Iterator[AddressRange]:
    heap = target.mappings.find_named("[heap]")
    unnamed = [m for m in target.mappings if m.is_readable and m.is_writable and not m.name]
    for mapping in [heap, *unnamed] if heap else unnamed:
        yield AddressRange(mapping.range.low, min(mapping.range.high, mapping.range.low + _SEARCH_START))


def _is_stack_end(target: Target, address: int) -> bool:
    """Whether ``address`` is __libc_stack_end of a static program: sysdeps/x86_64/start.S pushes one word below argc and takes sp.

    The kernel put argc there, aligned to 16 bytes, then that many pointers and a null.
    """
    place = address + 8
    count = find_word(target.memory, place)
    if place % 16 or count is None or count > _MOST_ARGUMENTS:
        return False
    return find_word(target.memory, place + 8 * (count + 1)) == 0
