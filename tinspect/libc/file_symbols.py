"""One symbol of an ELF file by its name, without making a Python object of every other."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<16s2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")
_SYMBOL = struct.Struct("<IBBHQQ")
_SHT_SYMTAB, _SHT_DYNSYM = 2, 11


@dataclass(frozen=True, slots=True)
class FileSymbol:
    """A symbol as the file has it: ``value`` is a virtual address, or for TLS symbols the offset in the TLS segment (elf(5))."""

    value: int
    size: int
    kind: int


def find_file_symbol(image: bytes | memoryview, name: bytes) -> FileSymbol | None:
    """The defined symbol called ``name`` (version suffixes ignored) in .symtab, else in .dynsym; None when there is none.

    Raises struct.error or IndexError for a damaged file.
    """
    view = memoryview(image)
    header = _HEADER.unpack_from(view)
    offset, count = header[6], header[12]
    sections = [_SECTION.unpack_from(view, offset + _SECTION.size * index) for index in range(count)]
    for wanted in (_SHT_SYMTAB, _SHT_DYNSYM):
        for section in sections:
            if section[1] != wanted:
                continue
            strings = sections[section[6]]
            found = _find(view[section[4] :][: section[5]], bytes(view[strings[4] :][: strings[5]]), name)
            if found:
                return found
    return None


def _find(table: memoryview, strings: bytes, name: bytes) -> FileSymbol | None:
    for offset, info, _, section, value, size in _SYMBOL.iter_unpack(
        table[: len(table) // _SYMBOL.size * _SYMBOL.size]
    ):
        # A name may be the tail of another in the string table, so compare at the symbol's own offset.
        if section and strings.startswith(name, offset) and strings[offset + len(name)] in b"\0@":
            return FileSymbol(value, size, info & 15)
    return None
