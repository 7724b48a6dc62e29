"""NT_FILE: which file each mapping of a core came from (fs/binfmt_elf.c fill_files_note; core(5))."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from tinspect.errors import FormatError
from tinspect.model.address import AddressRange

_HEAD = struct.Struct("<QQ")
_ENTRY = struct.Struct("<QQQ")
_DELETED = b" (deleted)"


@dataclass(frozen=True, slots=True)
class FileMapping:
    """One mapping of a file: ``offset`` in bytes. ``deleted`` when the file had been unlinked."""

    range: AddressRange
    offset: int
    name: str
    deleted: bool = False


def parse_nt_file(data: bytes | memoryview) -> tuple[FileMapping, ...]:
    """The mappings, in the note's order; those without sense are left out. Raises FormatError when the count is a lie."""
    if len(data) < _HEAD.size:
        raise FormatError(f"an NT_FILE note of {len(data)} bytes.")
    count, page_size = _HEAD.unpack_from(data)
    names_start = _HEAD.size + count * _ENTRY.size
    if names_start > len(data):
        raise FormatError(f"an NT_FILE note that promises {count} mappings and cannot hold them.")
    names = bytes(data[names_start:]).split(b"\0")
    found = []
    for (low, high, offset), name in zip(_ENTRY.iter_unpack(data[_HEAD.size : names_start]), names, strict=False):
        # Offsets are in units of page_size, as the kernel writes them; gdb writes unit 1 and bytes.
        if low < high and name:
            deleted = name.endswith(_DELETED)
            text = name.removesuffix(_DELETED).decode("utf-8", "surrogateescape")
            found.append(FileMapping(AddressRange(low, high), offset * page_size, text, deleted))
    return tuple(found)


def pack_nt_file(mappings: Iterable[FileMapping]) -> bytes:
    """The bytes of NT_FILE, offsets in units of one byte (as gdb's gcore writes them)."""
    entries = tuple(mappings)
    names = b"".join(
        entry.name.encode("utf-8", "surrogateescape").replace(b"\0", b"") + (_DELETED if entry.deleted else b"") + b"\0"
        for entry in entries
    )
    table = b"".join(_ENTRY.pack(entry.range.low, entry.range.high, entry.offset) for entry in entries)
    return _HEAD.pack(len(entries), 1) + table + names
