"""Finding words that point into given ranges, in any memory: the extension does the work where it can be imported."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tinspect.errors import MemoryUnreadable
from tinspect.formats.word_scan import scan_words
from tinspect.model.address import AddressRange
from tinspect.target.memory import MemoryReader

# Blocks of this size were fastest to copy out of another process (docs/internals/measurements.md).
BLOCK = 1 << 20
HIT_LIMIT = 4_000_000
_PAIR = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class WordHits:
    """Words that point into the ranges asked for, packed as (address, value) pairs of 64 bits, by address.

    ``unreadable`` are the parts of the sources that could not be read; ``further`` counts hits beyond HIT_LIMIT, which were dropped.
    """

    packed: bytes
    unreadable: tuple[AddressRange, ...] = ()
    further: int = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return _PAIR.iter_unpack(self.packed)

    def __len__(self) -> int:
        return len(self.packed) // _PAIR.size


class WordScanner(Protocol):
    """Something whose memory can be searched for words."""

    def scan(self, sources: Sequence[AddressRange], targets: Sequence[AddressRange]) -> WordHits:
        """Every aligned word in ``sources`` whose value lies in ``targets`` (sorted, disjoint)."""
        ...


class ReaderScanner:
    """Scans whatever a MemoryReader holds: captured segments, a core, gdb's memory."""

    __slots__ = ("_memory",)

    def __init__(self, memory: MemoryReader) -> None:
        self._memory = memory

    def scan(self, sources: Sequence[AddressRange], targets: Sequence[AddressRange]) -> WordHits:
        """See WordScanner. Holds one block at a time."""
        wanted = [(target.low, target.high) for target in targets]
        found = bytearray()
        unreadable: list[AddressRange] = []
        further = 0
        for low, data in self._blocks(sources, unreadable):
            hits = _scan_block(data, low, wanted)
            room = max(HIT_LIMIT * _PAIR.size - len(found), 0)
            found += hits[:room]
            further += max(len(hits) - room, 0) // _PAIR.size
        return WordHits(bytes(found), tuple(unreadable), further)

    def _blocks(self, sources: Sequence[AddressRange], unreadable: list[AddressRange]) -> Iterator[tuple[int, bytes]]:
        for source in sources:
            whole = self._whole(source)
            if whole is not None:
                yield source.low, whole
                continue
            cursor = source.low
            for part in self._memory.readable(source):
                if part.low > cursor:
                    unreadable.append(AddressRange(cursor, part.low))
                cursor = part.high
                for low in range(part.low, part.high, BLOCK):
                    size = min(BLOCK, part.high - low)
                    try:
                        yield low, self._memory.read(low, size)
                    except MemoryUnreadable:
                        unreadable.append(AddressRange.sized(low, size))
            if cursor < source.high:
                unreadable.append(AddressRange(cursor, source.high))

    def _whole(self, source: AddressRange) -> bytes | None:
        """The bytes of a source that fits in one block, as a thread's stack mostly does; None when they can't be had at once."""
        if source.size > BLOCK:
            return None
        try:
            return self._memory.read(source.low, source.size)
        except MemoryUnreadable:
            return None


def _scan_portably(data: bytes, base: int, targets: list[tuple[int, int]]) -> bytes:
    return b"".join(_PAIR.pack(*hit) for hit in scan_words(data, base, targets))


def _choose_scan() -> Callable[[bytes, int, list[tuple[int, int]]], bytes]:
    """The extension's scan, or the plain one in an interpreter the extension was not built for: slower, same results."""
    try:
        from tinspect.native import _inspect
    except ImportError:
        return _scan_portably
    return lambda data, base, targets: _inspect.scan_bytes(data, base, targets, limit=HIT_LIMIT)[0]


_scan_block = _choose_scan()
