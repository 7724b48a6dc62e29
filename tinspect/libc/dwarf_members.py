"""Offsets of a structure's members from DWARF, by way of the one unit that holds a known function."""

from __future__ import annotations

import io

from tinspect.errors import FormatError
from tinspect.formats.elf import ElfImage
from tinspect.formats.symtab import parse_section_symbols


def find_members(
    data: bytes | memoryview, function: bytes, structure: bytes, members: tuple[bytes, ...]
) -> tuple[int, ...] | None:
    """Byte offsets of ``members`` in ``structure`` as the unit of ``function`` defines it, or None when any is missing.

    ``data`` is an ELF file with debug information. .debug_aranges leads to the unit, so only that one is parsed: 0.1 s for glibc
    instead of 0.9 s.
    """
    try:
        symbols = parse_section_symbols(ElfImage(data), ".symtab", ".strtab")
    except FormatError:
        return None
    symbol = symbols.find_named(function) if symbols else None
    if symbol is None:
        return None
    try:
        return _find_members(data, symbol.address, structure, members)
    except (
        Exception
    ):  # whatever a damaged file makes pyelftools raise (KeyError, struct.error, its own) means: no answer
        return None


def _find_members(
    data: bytes | memoryview, address: int, structure: bytes, members: tuple[bytes, ...]
) -> tuple[int, ...] | None:
    from elftools.elf.elffile import ELFFile

    information = ELFFile(io.BytesIO(data)).get_dwarf_info(follow_links=False)
    ranges = information.get_aranges()
    offset = ranges.cu_offset_at_addr(address) if ranges else None
    if offset is None:
        return None
    for entry in information.get_CU_at(offset).iter_DIEs():
        name = entry.attributes.get("DW_AT_name")
        if entry.tag != "DW_TAG_structure_type" or name is None or name.value != structure:
            continue
        if "DW_AT_byte_size" not in entry.attributes:
            continue
        offsets = {
            child.attributes["DW_AT_name"].value: child.attributes["DW_AT_data_member_location"].value
            for child in entry.iter_children()
            if "DW_AT_name" in child.attributes and "DW_AT_data_member_location" in child.attributes
        }
        if all(isinstance(offsets.get(member), int) for member in members):
            return tuple(offsets[member] for member in members)
    return None
