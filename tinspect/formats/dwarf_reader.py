"""A cursor over bytes in DWARF's encodings: LEB128, initial lengths, and the encoded pointers of .eh_frame (LSB 5.0, 10.5.1)."""

from __future__ import annotations

import struct

from tinspect.errors import FormatError

_FIXED = {
    (1, False): struct.Struct("<B"), (2, False): struct.Struct("<H"), (4, False): struct.Struct("<I"), (8, False): struct.Struct("<Q"),
    (1, True): struct.Struct("<b"), (2, True): struct.Struct("<h"), (4, True): struct.Struct("<i"), (8, True): struct.Struct("<q"),
}  # fmt: skip

DW_EH_PE_OMIT = 0xFF
_INDIRECT = 0x80
_FORMATS: dict[int, tuple[int, bool]] = {
    0x00: (8, False), 0x02: (2, False), 0x03: (4, False), 0x04: (8, False),
    0x08: (8, True), 0x0A: (2, True), 0x0B: (4, True), 0x0C: (8, True),
}  # fmt: skip
MASK = (1 << 64) - 1


class DwarfReader:
    """Reads forward through ``data``; every method raises FormatError at its end.

    ``address`` is the virtual address of the first byte, for pc-relative pointers; ``data_base`` that of data-relative ones.
    """

    __slots__ = ("_data", "address", "data_base", "end", "position")

    def __init__(self, data: memoryview | bytes, position: int = 0, end: int | None = None, address: int = 0) -> None:
        self._data = data
        self.position = position
        self.end = len(data) if end is None else min(end, len(data))
        self.address = address
        self.data_base: int | None = None

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= self.end

    def _advance(self, size: int) -> int:
        start = self.position
        if size < 0 or start + size > self.end:
            raise FormatError("DWARF data that ends too early.")
        self.position = start + size
        return start

    def uint8(self) -> int:
        """The next byte."""
        return self._data[self._advance(1)]

    def fixed(self, size: int, signed: bool = False) -> int:
        """An integer of 1, 2, 4 or 8 bytes."""
        layout = _FIXED.get((size, signed))
        if layout is None:
            raise FormatError(f"an integer of {size} bytes.")
        return int(layout.unpack_from(self._data, self._advance(size))[0])

    def uleb128(self) -> int:
        """An unsigned LEB128, cut to 64 bits."""
        result = shift = 0
        while True:
            byte = self.uint8()
            if shift < 64:
                result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result & MASK

    def sleb128(self) -> int:
        """A signed LEB128 of 64 bits."""
        result = shift = 0
        while True:
            byte = self.uint8()
            if shift < 64:
                result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if byte & 0x40 and shift < 64:
            result -= 1 << shift
        result &= MASK
        return result - (1 << 64) if result >> 63 else result

    def block(self, size: int) -> memoryview:
        """The next ``size`` bytes."""
        start = self._advance(size)
        return memoryview(self._data)[start : start + size]

    def c_string(self, limit: int = 256) -> bytes:
        """The bytes up to the next NUL, which is skipped; at most ``limit``."""
        chunk = bytes(self._data[self.position : min(self.end, self.position + limit)])
        length = chunk.find(b"\0")
        if length < 0:
            raise FormatError("a DWARF string without an end.")
        self.position += length + 1
        return chunk[:length]

    def initial_length(self) -> tuple[int, int]:
        """A unit's length (bytes after the field) and the size of its offsets, 4 or 8 (DWARF 5, 7.4)."""
        length = self.fixed(4)
        if length == 0xFFFFFFFF:
            return self.fixed(8), 8
        if length >= 0xFFFFFFF0:
            raise FormatError("a reserved DWARF unit length.")
        return length, 4

    def encoded_pointer(self, encoding: int) -> int | None:
        """A pointer in a DW_EH_PE_* encoding; None when it is omitted, indirect (it lies in the target), or of an unknown base."""
        if encoding == DW_EH_PE_OMIT:
            return None
        field = self.address + self.position
        kind = encoding & 0x0F
        if kind == 0x01:
            value = self.uleb128()
        elif kind == 0x09:
            value = self.sleb128()
        elif kind in _FORMATS:
            value = self.fixed(*_FORMATS[kind])
        else:
            raise FormatError(f"a pointer encoding of {encoding:#x}.")
        base = encoding & 0x70
        if base == 0x10:
            value += field
        elif base == 0x30 and self.data_base is not None:
            value += self.data_base
        elif base:
            return None
        return None if encoding & _INDIRECT else value & MASK
