"""Which chunk of glibc's main heap holds an address (malloc/malloc.c, struct malloc_chunk: the same layout since glibc 2.3).

The [heap] mapping is a row of chunks, each of which says how large it is. Walking the row is the only way to find a chunk's start; it
stops at the first size that makes no sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange
from tinspect.target.memory import MemoryReader

_HEADER = 16
_PREVIOUS_IN_USE = 1
_FLAGS = 7
_SMALLEST = 32
_MOST_CHUNKS = 4_000_000
_BLOCK = 1 << 20
_ALIGNMENT = 16
_LATEST_START = 1 << 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's user memory, as malloc returned it. ``in_use`` is what the next chunk says: those in malloc's caches count as used."""

    range: AddressRange
    in_use: bool


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
    """Where the row begins: at the heap's start, but a static program has the first thread's storage there. Only a row that ends
    where the heap does is believed then."""
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
