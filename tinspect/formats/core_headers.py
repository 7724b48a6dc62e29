"""The headers and notes of an ELF core as bytes (elf(5)): the writing half of ``formats.elf``."""

from __future__ import annotations

import struct
from typing import Final

from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import ET_CORE, PN_XNUM

HEADER_SIZE: Final = 64
SEGMENT_SIZE: Final = 56

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NOTE = struct.Struct("<III")


def pack_core_header(machine: int, segment_count: int) -> bytes:
    """The ELF header of a core whose program headers follow at once, and after them pack_counting_section()."""
    extended = segment_count >= PN_XNUM
    section_offset = HEADER_SIZE + segment_count * SEGMENT_SIZE if extended else 0
    return _HEADER.pack(
        b"\x7fELF\x02\x01\x01", ET_CORE, machine, 1, 0, HEADER_SIZE, section_offset, 0, HEADER_SIZE, SEGMENT_SIZE,
        min(segment_count, PN_XNUM), _SECTION.size if extended else 0, int(extended), 0,
    )  # fmt: skip


def pack_segment(segment: Segment) -> bytes:
    """One program header (its physical address is 0)."""
    return _SEGMENT.pack(
        segment.type, segment.flags, segment.offset, segment.address, 0, segment.file_size, segment.memory_size,
        segment.alignment,
    )  # fmt: skip


def pack_counting_section(segment_count: int) -> bytes:
    """Section header 0, which counts the segments where the ELF header cannot; b"" where it can."""
    if segment_count < PN_XNUM:
        return b""
    return _SECTION.pack(0, 0, 0, 0, 0, 1, 0, segment_count, 0, 0)


def pack_note(owner: bytes, kind: int, data: bytes) -> bytes:
    """One note, padded to 4 as the kernel does."""
    name = owner + b"\0"
    return _NOTE.pack(len(name), len(data), kind) + _padded(name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
