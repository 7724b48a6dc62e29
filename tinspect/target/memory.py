"""Reading the target's memory: the seam between backends and everything above. Two methods, and struct reads over them."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange, merged

_WORD = struct.Struct("<Q")


class MemoryReader(Protocol):
    """Bytes of the target by address."""

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes at ``address``. Raises MemoryUnreadable when any of them cannot be had."""
        ...

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """The parts of ``wanted`` that read() would give, sorted and disjoint. Costs no copy of the bytes."""
        ...


def read_word(memory: MemoryReader, address: int) -> int:
    """The unsigned 64-bit little-endian word at ``address``. Raises MemoryUnreadable."""
    return int(_WORD.unpack(memory.read(address, 8))[0])


def find_word(memory: MemoryReader, address: int) -> int | None:
    """The word at ``address``, or None when it cannot be read."""
    try:
        return read_word(memory, address)
    except (MemoryUnreadable, ValueError):
        return None


def read_uint32(memory: MemoryReader, address: int) -> int:
    """The unsigned 32-bit little-endian number at ``address``. Raises MemoryUnreadable."""
    return int.from_bytes(memory.read(address, 4), "little")


def read_c_string(memory: MemoryReader, address: int, limit: int = 4096) -> bytes:
    """The bytes up to the first NUL, at most ``limit``. Raises MemoryUnreadable when the first byte cannot be read."""
    result = b""
    while len(result) < limit:
        # Up to the next 64-byte line: never across a page boundary that the string does not reach.
        step = min(64 - (address + len(result)) % 64, limit - len(result))
        try:
            chunk = memory.read(address + len(result), step)
        except MemoryUnreadable:
            if not result:
                raise
            break
        end = chunk.find(b"\0")
        if end >= 0:
            return result + chunk[:end]
        result += chunk
    return result


class SegmentMemory:
    """A MemoryReader over captured (address, bytes) segments; overlapping segments are not allowed."""

    __slots__ = ("_lows", "_segments")

    def __init__(self, segments: Iterable[tuple[int, bytes]]) -> None:
        self._segments = tuple(sorted((s for s in segments if s[1]), key=lambda segment: segment[0]))
        self._lows = [low for low, _ in self._segments]

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader. A read may span touching segments."""
        index = bisect_right(self._lows, address) - 1
        if index >= 0:
            low, data = self._segments[index]
            if address + size <= low + len(data):
                return data[address - low : address - low + size]
        return self._read_across(index, address, size)

    def _read_across(self, index: int, address: int, size: int) -> bytes:
        """A read that the segment at ``index`` does not answer alone."""
        pieces: list[bytes] = []
        position, end = address, address + size
        while position < end:
            if not 0 <= index < len(self._segments):
                raise MemoryUnreadable(address, size, "it was not captured")
            low, data = self._segments[index]
            if not low <= position < low + len(data):
                raise MemoryUnreadable(address, size, "it was not captured")
            piece = data[position - low : end - low]
            pieces.append(piece)
            position += len(piece)
            index += 1
        return b"".join(pieces)

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader."""
        index = max(bisect_right(self._lows, wanted.low) - 1, 0)
        found: list[AddressRange] = []
        for position in range(index, len(self._segments)):
            low, data = self._segments[position]
            if low >= wanted.high:
                break
            part = AddressRange(low, low + len(data)).intersection(wanted)
            if part is not None:
                found.append(part)
        return tuple(found)

    def __len__(self) -> int:
        """How many segments it holds."""
        return len(self._segments)

    def segments(self) -> Iterator[tuple[int, bytes]]:
        """Every captured segment, by address."""
        return iter(self._segments)


class LayeredMemory:
    """Asks several readers in order: captured bytes first, then what cannot have changed (read-only files, the vdso)."""

    __slots__ = ("_layers",)

    def __init__(self, layers: Iterable[MemoryReader]) -> None:
        self._layers = tuple(layers)

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader. The first layer that holds the whole range answers."""
        for layer in self._layers[:-1]:
            try:
                return layer.read(address, size)
            except MemoryUnreadable:
                continue
        return self._layers[-1].read(address, size)

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader: the union of what the layers hold."""
        return merged(part for layer in self._layers for part in layer.readable(wanted))
