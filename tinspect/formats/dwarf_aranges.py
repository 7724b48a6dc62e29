"""Which compilation unit covers a code address: .debug_aranges (DWARF 5, 6.1.2), in compact arrays."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right

from tinspect.errors import FormatError
from tinspect.formats.dwarf_reader import DwarfReader

_RANGE = struct.Struct("<QQ")
_RANGE_LIMIT = 4_000_000


class UnitRanges:
    """Sorted code ranges and the .debug_info offsets of their units."""

    def __init__(self, ranges: list[tuple[int, int, int]]) -> None:
        """``ranges`` are (low, high, unit offset)."""
        ranges.sort()
        self._lows = array("Q", [low for low, _, _ in ranges])
        self._highs = array("Q", [high for _, high, _ in ranges])
        self._units = array("Q", [unit for _, _, unit in ranges])

    def find(self, pc: int) -> int | None:
        """The offset of the unit that covers ``pc``, or None."""
        place = bisect_right(self._lows, pc) - 1
        return self._units[place] if place >= 0 and pc < self._highs[place] else None

    def units(self) -> frozenset[int]:
        """The offsets of all units that have a range here."""
        return frozenset(self._units)


def parse_aranges(data: memoryview) -> UnitRanges:
    """All sound sets of ``data``; what cannot be read ends the walk."""
    ranges: list[tuple[int, int, int]] = []
    position = 0
    while position < len(data) and len(ranges) < _RANGE_LIMIT:
        try:
            position = _parse_set(data, position, ranges)
        except FormatError:
            break
    return UnitRanges(ranges)


def _parse_set(data: memoryview, start: int, ranges: list[tuple[int, int, int]]) -> int:
    """Appends the ranges of one set, and returns where the next begins. Raises FormatError."""
    reader = DwarfReader(data, start)
    length, offset_size = reader.initial_length()
    end = reader.position + length
    if length == 0 or end > len(data):
        raise FormatError("a set of address ranges that does not fit.")
    reader.end = end
    version, unit, address_size, segment_size = (
        reader.fixed(2),
        reader.fixed(offset_size),
        reader.uint8(),
        reader.uint8(),
    )
    if version == 2 and (address_size, segment_size) == (8, 0):
        # Tuples are aligned to their own size, counted from the start of the set.
        first = start + -(-(reader.position - start) // 16) * 16
        table = data[first:end]
        for low, size in _RANGE.iter_unpack(table[: len(table) // 16 * 16]):
            if size:
                ranges.append((low, min(low + size, (1 << 64) - 1), unit))
    return end
