"""The memory of a core: parts of files by address. What no file holds is unreadable; no zero is ever made up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange


class ByteSource(Protocol):
    """Bytes by offset: a MappedFile."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``, both within ``size``."""
        ...


class Part(NamedTuple):
    """The bytes of [low, high) lie at ``offset`` of what ``source`` opens; None: they cannot be had after all."""

    low: int
    high: int
    offset: int
    source: Callable[[], ByteSource | None]


class PartedMemory:
    """A MemoryReader over disjoint parts. Sources are opened when one of their bytes is first asked for."""

    __slots__ = ("_lows", "_parts")

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = tuple(sorted(parts, key=lambda part: part.low))
        self._lows = [part.low for part in self._parts]

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader. A read may span touching parts."""
        wanted: list[tuple[ByteSource, int, int]] = []
        position, end = address, address + size
        for low, high, part in self._pieces(address, end):
            source = part.source()
            start = part.offset + low - part.low
            if low != position or source is None or start + high - low > source.size:
                break
            wanted.append((source, start, high - low))
            position = high
        # Nothing is copied before it is certain that all of it is there: a hostile size costs nothing.
        if position != end or size < 0:
            raise MemoryUnreadable(position, end - position, "the core does not hold it")
        if len(wanted) == 1:
            source, start, length = wanted[0]
            return source.read(start, length)
        return b"".join(source.read(start, length) for source, start, length in wanted)

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader."""
        found: list[AddressRange] = []
        for low, high, part in self._pieces(wanted.low, wanted.high):
            source = part.source()
            if source is None:
                continue
            held = min(high, part.low + max(source.size - part.offset, 0))
            if found and found[-1].high == low < held:
                found[-1] = AddressRange(found[-1].low, held)
            elif low < held:
                found.append(AddressRange(low, held))
        return tuple(found)

    def _pieces(self, low: int, high: int) -> Iterator[tuple[int, int, Part]]:
        """The parts that share addresses with [low, high), each cut to it."""
        for index in range(max(bisect_right(self._lows, low) - 1, 0), len(self._parts)):
            part = self._parts[index]
            if part.low >= high:
                return
            if part.high > low:
                yield max(part.low, low), min(part.high, high), part
