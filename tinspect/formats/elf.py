"""ELF images (elf(5), gABI): header, segments, sections, dynamic section, notes. 64-bit little-endian only.

An ElfImage is a view: it copies nothing, checks every offset against the bytes there are, and needs only the program headers,
so it also serves images rebuilt from memory, which have no section table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tinspect.errors import FormatError
from tinspect.formats.elf_constants import (
    DT_NULL,
    NT_GNU_BUILD_ID,
    PN_XNUM,
    PT_DYNAMIC,
    PT_LOAD,
    PT_NOTE,
    SHF_ALLOC,
    SHF_COMPRESSED,
    SHT_NOBITS,
    SHT_NOTE,
)
from tinspect.formats.section_data import decompress_section, read_string

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NOTE = struct.Struct("<III")
_DYNAMIC = struct.Struct("<QQ")
_SECTION_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class ElfHeader:
    """The fields of Elf64_Ehdr that matter here. ``segment_count`` and ``section_count`` are as stored, before PN_XNUM is resolved."""

    file_type: int
    machine: int
    entry: int
    segment_offset: int
    segment_count: int
    section_offset: int
    section_count: int
    section_names: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One program header (Elf64_Phdr). ``address`` is a virtual address of the file; sizes are bytes."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


@dataclass(frozen=True, slots=True)
class Section:
    """One section header (Elf64_Shdr), its name resolved."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int

    def __contains__(self, address: int) -> bool:
        return self.address <= address < self.address + self.size


@dataclass(frozen=True, slots=True)
class Note:
    """One note: owner without its NUL ("GNU", "CORE", "LINUX", "stapsdt"), type, and the bytes of its description."""

    owner: str
    type: int
    data: memoryview


class ElfImage:
    """One ELF file over any buffer of bytes. Raises FormatError when the header or the program headers are not sound."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = memoryview(data).cast("B").toreadonly()
        self._decompressed: dict[int, memoryview] = {}
        self.header = _parse_header(self.data)
        self.segments = _parse_segments(self.data, self.header)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The section table; empty when there is none, or when it is not sound (a stripped, rebuilt or damaged file)."""
        return _parse_sections(self.data, self.header)

    @cached_property
    def _sections_by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    @cached_property
    def _loads(self) -> tuple[Segment, ...]:
        return tuple(segment for segment in self.segments if segment.type == PT_LOAD)

    def find_section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return self._sections_by_name.get(name)

    def find_segment(self, segment_type: int) -> Segment | None:
        """The first segment of that type, or None."""
        return next((segment for segment in self.segments if segment.type == segment_type), None)

    def section_data(self, section: Section) -> memoryview:
        """The bytes of a section, decompressed (once) where SHF_COMPRESSED says so; empty for SHT_NOBITS. Raises FormatError."""
        if section.type == SHT_NOBITS:
            return self.data[:0]
        data = self.file_bytes(section.offset, section.size)
        if not section.flags & SHF_COMPRESSED:
            return data
        if section.offset not in self._decompressed:
            self._decompressed[section.offset] = decompress_section(data)
        return self._decompressed[section.offset]

    def find_section_data(self, name: str) -> memoryview | None:
        """The bytes of the section called ``name``; None when it is missing, empty or damaged."""
        section = self.find_section(name)
        if section is None:
            return None
        try:
            return self.section_data(section) or None
        except FormatError:
            return None

    def segment_data(self, segment: Segment) -> memoryview:
        """The bytes of a segment that the file holds; shorter than ``file_size`` when the file was cut. Never raises."""
        return self.data[segment.offset : segment.offset + segment.file_size]

    def file_bytes(self, offset: int, size: int) -> memoryview:
        """Exactly ``size`` bytes at a file offset. Raises FormatError."""
        if offset + size > len(self.data):
            raise FormatError(f"{size} bytes at file offset {offset:#x} lie beyond the end of the ELF file.")
        return self.data[offset : offset + size]

    def data_from(self, address: int) -> memoryview | None:
        """The file's bytes from a virtual address to the end of its loaded segment, or None when no segment holds them."""
        for segment in self._loads:
            if segment.address <= address < segment.address + segment.file_size:
                return self.segment_data(segment)[address - segment.address :] or None
        return None

    def section_at(self, address: int) -> Section | None:
        """The loaded section that holds a virtual address, or None."""
        return next((section for section in self.sections if section.flags & SHF_ALLOC and address in section), None)

    @cached_property
    def dynamic(self) -> tuple[tuple[int, int], ...]:
        """The (tag, value) pairs of the dynamic section up to DT_NULL; empty when there is none."""
        segment = self.find_segment(PT_DYNAMIC)
        if segment is None:
            return ()
        data = self.segment_data(segment)
        entries = []
        for tag, value in _DYNAMIC.iter_unpack(data[: len(data) // 16 * 16]):
            if tag == DT_NULL:
                break
            entries.append((tag, value))
        return tuple(entries)

    def find_dynamic(self, tag: int) -> int | None:
        """The value of the first dynamic entry of that tag, or None."""
        return next((value for entry, value in self.dynamic if entry == tag), None)

    def notes(self) -> Iterator[Note]:
        """Every note of the PT_NOTE segments, or of the note sections where there are no such segments. Never raises."""
        found = False
        for segment in self.segments:
            if segment.type == PT_NOTE:
                found = True
                yield from parse_notes(self.segment_data(segment), segment.alignment)
        if not found:
            for section in self.sections:
                if section.type == SHT_NOTE:
                    yield from parse_notes(self.data[section.offset : section.offset + section.size], 4)

    @cached_property
    def build_id(self) -> str:
        """NT_GNU_BUILD_ID in lower-case hex, "" when the file has none."""
        return next((n.data.hex() for n in self.notes() if n.owner == "GNU" and n.type == NT_GNU_BUILD_ID), "")


def parse_notes(data: memoryview, alignment: int = 4) -> Iterator[Note]:
    """The notes in ``data``, up to the first that does not fit into it. ``alignment`` 8 is that of .note.gnu.property; all else is 4."""
    step = 8 if alignment == 8 else 4
    position = 0
    while position + _NOTE.size <= len(data):
        name_size, description_size, note_type = _NOTE.unpack_from(data, position)
        name_start = position + _NOTE.size
        start = position + _aligned(_NOTE.size + name_size, step)
        end = start + description_size
        if end > len(data):
            return
        owner = bytes(data[name_start : name_start + min(name_size, 64)]).split(b"\0")[0]
        yield Note(owner.decode("latin-1"), note_type, data[start:end])
        position = _aligned(end, step)


def _aligned(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def _parse_header(data: memoryview) -> ElfHeader:
    if len(data) < _HEADER.size or bytes(data[:4]) != b"\x7fELF":
        raise FormatError("not an ELF file.")
    fields = _HEADER.unpack_from(data)
    if fields[0][4:6] != b"\x02\x01":
        raise FormatError("an ELF file that is not 64-bit little-endian.")
    _, file_type, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = fields
    if phnum and phentsize != _SEGMENT.size:
        raise FormatError(f"program headers of {phentsize} bytes, where {_SEGMENT.size} are expected.")
    if shentsize not in (0, _SECTION.size):
        shoff = 0  # an unknown section table is no section table
    return ElfHeader(file_type, machine, entry, phoff, phnum, shoff, shnum, shstrndx)


def _parse_segments(data: memoryview, header: ElfHeader) -> tuple[Segment, ...]:
    count = header.segment_count
    if count == PN_XNUM:
        first = _first_section(data, header)
        count = first[7] if first is not None else count
    size = count * _SEGMENT.size
    if header.segment_offset + size > len(data):
        raise FormatError("program headers beyond the end of the ELF file.", "The file may have been cut off.")
    table = data[header.segment_offset : header.segment_offset + size]
    return tuple(
        Segment(kind, flags, offset, address, file_size, memory_size, alignment)
        for kind, flags, offset, address, _, file_size, memory_size, alignment in _SEGMENT.iter_unpack(table)
    )


def _first_section(data: memoryview, header: ElfHeader) -> tuple[int, ...] | None:
    offset = header.section_offset
    if offset == 0 or offset + _SECTION.size > len(data):
        return None
    return _SECTION.unpack_from(data, offset)


def _parse_sections(data: memoryview, header: ElfHeader) -> tuple[Section, ...]:
    first = _first_section(data, header)
    if first is None:
        return ()
    # gABI: a count or index too large for its field stands in the first section header.
    count = header.section_count or first[5]
    names_index = header.section_names if header.section_names != 0xFFFF else first[6]
    size = count * _SECTION.size
    if count > _SECTION_LIMIT or header.section_offset + size > len(data) or names_index >= count:
        return ()
    raw = list(_SECTION.iter_unpack(data[header.section_offset : header.section_offset + size]))
    names = data[raw[names_index][4] : raw[names_index][4] + raw[names_index][5]]
    return tuple(
        Section(read_string(names, name, 256), kind, flags, address, offset, length, link, info, entry_size)
        for name, kind, flags, address, offset, length, link, info, _, entry_size in raw
    )
