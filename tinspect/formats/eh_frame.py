"""Finds and parses the one FDE that covers a pc: .eh_frame through the sorted table of .eh_frame_hdr (LSB 5.0, 10.6).

Where a file has no usable table, and for .debug_frame, all entries are walked once and indexed.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from tinspect.errors import FormatError
from tinspect.formats.cfi import CommonEntry, FrameEntry
from tinspect.formats.dwarf_reader import DwarfReader
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_GNU_EH_FRAME

_SORTED_TABLE = 0x3B  # DW_EH_PE_datarel | DW_EH_PE_sdata4: what every linker writes
_PAIR = struct.Struct("<ii")
_ENTRY_LIMIT = 2_000_000


@dataclass(frozen=True, slots=True)
class _Record:
    """One length-delimited record: a CIE (``common_at`` None) or an FDE. ``body`` and ``end`` are offsets in the section."""

    body: int
    end: int
    common_at: int | None


class FrameSection:
    """The bytes of .eh_frame or .debug_frame, from virtual ``address`` on (0 for .debug_frame, which is not loaded)."""

    def __init__(self, data: memoryview, address: int, is_debug_frame: bool = False) -> None:
        self._data = data
        self._address = address
        self._is_debug_frame = is_debug_frame
        self._commons: dict[int, CommonEntry] = {}

    def parse_entry(self, offset: int) -> FrameEntry:
        """The FDE at ``offset``. Raises FormatError when none stands there, or a damaged one."""
        record = self._record(offset)
        if record is None or record.common_at is None:
            raise FormatError(f"no FDE at offset {offset:#x}.")
        return self._entry(record)

    def index(self) -> FrameIndex:
        """Every sound FDE, by address; what cannot be read ends the walk."""
        entries: list[tuple[int, int]] = []
        offset = 0
        for _ in range(_ENTRY_LIMIT):
            try:
                record = self._record(offset)
                if record is None:
                    break
                if record.common_at is not None:
                    entry = self._entry(record)
                    if entry.size:
                        entries.append((entry.start, offset))
            except FormatError:
                break
            offset = record.end
        return FrameIndex(entries, self.parse_entry)

    def _record(self, offset: int) -> _Record | None:
        """The record at ``offset``, or None at the terminator or the end."""
        if not 0 <= offset <= len(self._data) - 4:
            return None
        reader = DwarfReader(self._data, offset)
        length, offset_size = reader.initial_length()
        if length == 0:
            return None
        start = reader.position
        end = start + length
        if end > len(self._data):
            raise FormatError("a call frame record beyond the end of its section.")
        # LSB 5.0, 10.6.1.1: in .eh_frame the CIE id and pointer have 4 bytes whatever the length, and the pointer is relative to itself.
        identifier = reader.fixed(offset_size if self._is_debug_frame else 4)
        if self._is_debug_frame:
            common_at = None if identifier == (1 << 8 * offset_size) - 1 else identifier
        else:
            common_at = None if identifier == 0 else start - identifier
        return _Record(reader.position, end, common_at)

    def _entry(self, record: _Record) -> FrameEntry:
        common = self._common(record.common_at if record.common_at is not None else -1)
        reader = DwarfReader(self._data, record.body, record.end, self._address)
        start = reader.encoded_pointer(common.pointer_encoding)
        size = reader.encoded_pointer(common.pointer_encoding & 0x0F)
        if start is None or size is None:
            raise FormatError("an FDE whose address is not plain.")
        if common.has_augmentation_data:
            reader.block(reader.uleb128())
        body = reader.position
        return FrameEntry(common, start, size, bytes(self._data[body : record.end]), self._address + body)

    def _common(self, offset: int) -> CommonEntry:
        """The CIE at ``offset``, parsed once."""
        common = self._commons.get(offset)
        if common is None:
            record = self._record(offset)
            if record is None or record.common_at is not None:
                raise FormatError(f"no CIE at offset {offset:#x}.")
            common = _parse_common(DwarfReader(self._data, record.body, record.end, self._address))
            self._commons[offset] = common
        return common


def _parse_common(reader: DwarfReader) -> CommonEntry:
    version = reader.uint8()
    if version not in (1, 3, 4):
        raise FormatError(f"a CIE of version {version}.")
    augmentation = reader.c_string()
    if augmentation.startswith(b"eh"):
        reader.fixed(8)
        augmentation = augmentation[2:]
    if version == 4 and (reader.uint8(), reader.uint8()) != (8, 0):
        raise FormatError("a CIE for other than flat 64-bit addresses.")
    code, data = reader.uleb128(), reader.sleb128()
    column = reader.uint8() if version == 1 else reader.uleb128()
    encoding, has_data, is_signal = 0, augmentation.startswith(b"z"), b"S" in augmentation
    if has_data:
        fields = DwarfReader(reader.block(reader.uleb128()))
        encoding = _pointer_encoding(fields, augmentation[1:])
    elif augmentation not in (b"", b"S"):
        raise FormatError(f"a CIE augmentation {augmentation!r}.")
    return CommonEntry(
        code, data, column, encoding, has_data, is_signal, bytes(reader.block(reader.end - reader.position))
    )


def _pointer_encoding(fields: DwarfReader, letters: bytes) -> int:
    """The encoding that 'R' names, past the fields of the letters before it (LSB 5.0, 10.6.1.1.1). 'S' and 'B' have none."""
    for letter in letters:
        match chr(letter):
            case "R":
                return fields.uint8()
            case "L":
                fields.uint8()
            case "P":
                fields.encoded_pointer(fields.uint8() & 0x0F)
            case "S" | "B" | "G":
                pass
            case _:
                break  # unknown letters: "z" lets a reader skip what it does not know
    return 0


class FrameIndex:
    """Sorted starts of FDEs and where each one stands."""

    def __init__(self, entries: list[tuple[int, int]], parse: Callable[[int], FrameEntry]) -> None:
        entries.sort()
        self._starts = array("Q", [start for start, _ in entries])
        self._offsets = array("Q", [offset for _, offset in entries])
        self._parse = parse

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, pc: int) -> FrameEntry | None:
        """The FDE that covers ``pc``, or None. Raises FormatError."""
        place = bisect_right(self._starts, pc) - 1
        if place < 0:
            return None
        entry = self._parse(self._offsets[place])
        return entry if pc in entry else None


class FrameHeader:
    """The sorted table of .eh_frame_hdr, searched where it lies."""

    def __init__(self, data: memoryview, address: int) -> None:
        reader = DwarfReader(data, address=address)
        reader.data_base = address
        if reader.uint8() != 1:
            raise FormatError("an .eh_frame_hdr of an unknown version.")
        pointer, count, table = reader.uint8(), reader.uint8(), reader.uint8()
        section = reader.encoded_pointer(pointer)
        entries = reader.encoded_pointer(count)
        if section is None or entries is None or table != _SORTED_TABLE:
            raise FormatError("an .eh_frame_hdr without a sorted table.")
        self.section_address = section
        self._address = address
        self._table = data[reader.position :]
        self._count = min(entries, len(self._table) // _PAIR.size)
        if self._count == 0:
            raise FormatError("an .eh_frame_hdr with an empty table.")

    def find(self, pc: int) -> int | None:
        """The virtual address of the FDE that may cover ``pc``, or None."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._address + _PAIR.unpack_from(self._table, middle * 8)[0] <= pc:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        return self._address + int(_PAIR.unpack_from(self._table, (low - 1) * 8)[1])


class CallFrameTable:
    """All call frame information of one image: .eh_frame by its sorted table or by a walk, then .debug_frame."""

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._header, self._section, self._section_address = _open_eh_frame(image)
        self._index: FrameIndex | None = None
        self._debug_index: FrameIndex | None = None

    def find(self, pc: int) -> FrameEntry | None:
        """The FDE that covers ``pc`` (a virtual address of the file), or None. Raises FormatError for damaged data."""
        return self._find_loaded(pc) or self._find_debug(pc)

    def _find_loaded(self, pc: int) -> FrameEntry | None:
        if self._section is None:
            return None
        if self._header is not None:
            address = self._header.find(pc)
            if address is None:
                return None
            entry = self._section.parse_entry(address - self._section_address)
            return entry if pc in entry else None
        if self._index is None:
            self._index = self._section.index()
        return self._index.find(pc)

    def _find_debug(self, pc: int) -> FrameEntry | None:
        if self._debug_index is None:
            data = self._image.find_section_data(".debug_frame")
            self._debug_index = FrameSection(data if data is not None else memoryview(b""), 0, True).index()
        return self._debug_index.find(pc)


def _open_eh_frame(image: ElfImage) -> tuple[FrameHeader | None, FrameSection | None, int]:
    segment = image.find_segment(PT_GNU_EH_FRAME)
    if segment is not None:
        try:
            header = FrameHeader(image.segment_data(segment), segment.address)
            data = image.data_from(header.section_address)
            if data is not None:
                return header, FrameSection(data, header.section_address), header.section_address
        except FormatError:
            pass
    section = image.find_section(".eh_frame")
    data = image.find_section_data(".eh_frame")
    if section is None or data is None:
        return None, None, 0
    return None, FrameSection(data, section.address), section.address


__all__ = ["CallFrameTable", "FrameHeader", "FrameIndex", "FrameSection"]
