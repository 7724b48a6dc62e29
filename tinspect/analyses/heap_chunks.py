"""Which chunk of glibc's heaps holds an address (malloc/malloc.c, struct malloc_chunk: the same layout since glibc 2.3).

A heap is a row of chunks, each of which says how large it is. Walking the row is the only way to find a chunk's start; it stops at the
first size that makes no sense. The main heap is the [heap] mapping; threads allocate from arenas, whose heaps are aligned mappings that
begin with a struct heap_info (malloc/arena.c, glibc 2.31 to 2.43).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange
from tinspect.model.mapping import MappingTable
from tinspect.target.memory import MemoryReader

_HEADER = 16
_PREVIOUS_IN_USE = 1
_FLAGS = 7
_SMALLEST = 32
_MOST_CHUNKS = 4_000_000
_BLOCK = 1 << 20
_ALIGNMENT = 16
_LATEST_START = 1 << 16
_ARENA_HEAP = 64 << 20  # HEAP_MAX_SIZE on 64-bit machines: twice DEFAULT_MMAP_THRESHOLD_MAX
_HEAP_INFO = struct.Struct("<QQQQ")  # ar_ptr, prev, size, mprotect_size; since 2.35 two words follow
_MOST_INFO = 64
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's user memory, as malloc returned it. ``in_use`` is what the next chunk says: those in malloc's caches count as used."""

    range: AddressRange
    in_use: bool


def find_arena_heap(memory: MemoryReader, mappings: MappingTable, address: int) -> AddressRange | None:
    """The heap of a thread's arena that holds ``address``, without the heap_info at its start; None where there is none.

    The heap_info is believed when all it says fits: the heap's size and what of it is writable to the mapping, its arena to the first
    heap of a chain, which holds the arena itself, or to a later one, which lies elsewhere.
    """
    low = address & -_ARENA_HEAP
    mapping = mappings.find(low)
    if mapping is None or not mapping.is_writable:
        return None
    try:
        arena, previous, size, writable = _HEAP_INFO.unpack(memory.read(low, _HEAP_INFO.size))
    except MemoryUnreadable:
        return None
    if not 0 < size <= writable <= min(_ARENA_HEAP, mapping.range.high - low) or size % _PAGE or writable % _PAGE:
        return None
    is_first = low + _HEAP_INFO.size <= arena <= low + _MOST_INFO and previous == 0
    is_later = arena & -_ARENA_HEAP not in {0, low} and previous != 0 and previous % _ARENA_HEAP == 0
    heap = AddressRange(low + _HEAP_INFO.size, low + size)
    return heap if (is_first or is_later) and address in heap else None


def find_chunk(memory: MemoryReader, heap: AddressRange, address: int) -> Chunk | None:
    """The chunk whose user memory holds ``address``; None in a header, in the unused top, or where the row cannot be followed."""
    words = _Words(memory, heap)
    first = _first_chunk(words, heap)
    for at, following in _row(words, heap, first) if first is not None else ():
        if address < following:
            after = words.read(following + 8)
            if after is None or address < at + _HEADER:
                return None
            # A used chunk's user memory reaches over the next one's first word.
            in_use = bool(after & _PREVIOUS_IN_USE)
            return Chunk(AddressRange(at + _HEADER, following + (8 if in_use else 0)), in_use)
    return None


def _row(words: _Words, heap: AddressRange, at: int) -> Iterator[tuple[int, int]]:
    """The chunks from ``at`` on as (start, end), as long as their sizes make sense."""
    for _ in range(_MOST_CHUNKS):
        size = words.read(at + 8)
        if size is None or (size & ~_FLAGS) < _SMALLEST or at + (size & ~_FLAGS) > heap.high:
            return
        following = at + (size & ~_FLAGS)
        yield at, following
        at = following


def _first_chunk(words: _Words, heap: AddressRange) -> int | None:
    """Where the row begins: at the heap's start, but a static program has the first thread's storage there, and the first heap of an
    arena the arena. Only a row that ends where the heap does is believed then."""
    if next(_row(words, heap, heap.low), None) is not None:
        return heap.low
    for start in range(heap.low + _ALIGNMENT, min(heap.low + _LATEST_START, heap.high), _ALIGNMENT):
        if max((end for _, end in _row(words, heap, start)), default=0) == heap.high:
            return start
    return None


class _Words:
    """Words of the heap, read a block at a time."""

    def __init__(self, memory: MemoryReader, heap: AddressRange) -> None:
        self._memory = memory
        self._heap = heap
        self._low = 0
        self._block = b""

    def read(self, address: int) -> int | None:
        if not self._low <= address <= self._low + len(self._block) - 8:
            if address + 8 > self._heap.high:
                return None
            try:
                self._block = self._memory.read(address, min(_BLOCK, self._heap.high - address))
            except MemoryUnreadable:
                return None
            self._low = address
        offset = address - self._low
        return int.from_bytes(self._block[offset : offset + 8], "little")
