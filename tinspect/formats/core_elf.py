"""Header and program headers of 64-bit little-endian ELF files (elf(5)): as much as cores and build ids need.

A core may have 100,000 segments and more, so the table is read in bulk; more than 65,534 are counted in section header 0
(PN_XNUM, elf(5)).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tinspect.errors import FormatError, UnsupportedTarget
from tinspect.formats.notes import parse_notes

ET_EXEC: Final = 2
ET_DYN: Final = 3
ET_CORE: Final = 4
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_NOTE: Final = 4
PT_PHDR: Final = 6
PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4
PN_XNUM: Final = 0xFFFF
HEADER_SIZE: Final = 64
PROGRAM_HEADER_SIZE: Final = 56

_NT_GNU_BUILD_ID = 3
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")


@dataclass(frozen=True, slots=True)
class ElfHeader:
    """What an ELF header says: type (ET_*), machine, entry point, and where the program headers are (bytes)."""

    type: int
    machine: int
    entry: int
    table_offset: int
    table_count: int


class ProgramHeader(NamedTuple):
    """One program header; sizes and offsets in bytes."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


def is_elf(head: bytes | memoryview) -> bool:
    """Whether these first bytes are those of an ELF file of any class."""
    return bytes(head[:4]) == b"\x7fELF"


def parse_elf_header(data: bytes | memoryview) -> ElfHeader:
    """The header at the start of ``data``. Raises FormatError when it is none, UnsupportedTarget for 32-bit or big-endian files."""
    if not is_elf(data):
        raise FormatError("no ELF file: it does not begin with the four bytes that every ELF file begins with.")
    if len(data) < HEADER_SIZE:
        raise FormatError(f"an ELF file that ends after {len(data)} bytes, within its header.")
    if data[4] != 2 or data[5] != 1:
        raise UnsupportedTarget("a 32-bit or big-endian ELF file.", "tinspect reads 64-bit little-endian ones.")
    fields = _HEADER.unpack_from(data)
    kind, machine, entry, table, sections, count = fields[1], fields[2], fields[4], fields[5], fields[6], fields[10]
    if count == PN_XNUM:
        if not 0 < sections <= len(data) - _SECTION_HEADER.size:
            raise FormatError(
                "an ELF file whose count of segments lies in a section header that the file does not hold."
            )
        count = _SECTION_HEADER.unpack_from(data, sections)[7]
    if count and fields[9] != _PROGRAM_HEADER.size:
        raise FormatError(f"an ELF file with program headers of {fields[9]} bytes, where 56 are right.")
    return ElfHeader(kind, machine, entry, table, count)


def parse_program_headers(data: bytes | memoryview, header: ElfHeader) -> tuple[ProgramHeader, ...]:
    """The program headers that ``data`` holds: fewer than the header promises when it ends before them."""
    if header.table_offset >= len(data):
        return ()
    count = min(header.table_count, (len(data) - header.table_offset) // _PROGRAM_HEADER.size)
    return parse_program_table(memoryview(data)[header.table_offset :][: count * _PROGRAM_HEADER.size])


def parse_program_table(table: bytes | memoryview) -> tuple[ProgramHeader, ...]:
    """A bare table of program headers, as AT_PHDR points at one; an incomplete last one is left out."""
    whole = table[: len(table) - len(table) % PROGRAM_HEADER_SIZE]
    return tuple(
        ProgramHeader(kind, flags, offset, address, file_size, memory_size, alignment)
        for kind, flags, offset, address, _, file_size, memory_size, alignment in _PROGRAM_HEADER.iter_unpack(whole)
    )


def pack_elf_core_header(machine: int, segment_count: int) -> bytes:
    """ELF header of a core whose program headers follow at once; see pack_counting_section() for its section header."""
    extended = segment_count >= PN_XNUM
    section_offset = HEADER_SIZE + segment_count * _PROGRAM_HEADER.size if extended else 0
    return _HEADER.pack(
        b"\x7fELF\x02\x01\x01", ET_CORE, machine, 1, 0, HEADER_SIZE, section_offset, 0, HEADER_SIZE,
        _PROGRAM_HEADER.size, min(segment_count, PN_XNUM), _SECTION_HEADER.size if extended else 0, int(extended), 0,
    )  # fmt: skip


def pack_program_header(header: ProgramHeader) -> bytes:
    """The 56 bytes of one program header (its physical address is 0)."""
    kind, flags, offset, address, file_size, memory_size, alignment = header
    return _PROGRAM_HEADER.pack(kind, flags, offset, address, 0, file_size, memory_size, alignment)


def pack_counting_section(segment_count: int) -> bytes:
    """Section header 0, which counts the segments where the ELF header cannot; b"" where it can."""
    if segment_count < PN_XNUM:
        return b""
    return _SECTION_HEADER.pack(0, 0, 0, 0, 0, 1, 0, segment_count, 0, 0)


def find_build_id(data: bytes | memoryview, headers: Iterable[ProgramHeader]) -> str:
    """The GNU build id in the notes of an ELF *file*, lower-case hex, or "" when it has none."""
    view = memoryview(data)
    for header in headers:
        if header.type == PT_NOTE:
            found = build_id_in_notes(view[header.offset : header.offset + header.file_size])
            if found:
                return found
    return ""


def build_id_in_notes(data: bytes | memoryview) -> str:
    """The GNU build id among these notes, lower-case hex, or ""."""
    for note in parse_notes(data):
        if note.type == _NT_GNU_BUILD_ID and note.name == b"GNU" and 0 < len(note.data) <= 64:
            return bytes(note.data).hex()
    return ""
