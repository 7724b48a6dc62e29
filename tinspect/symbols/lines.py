"""File, line and inlined functions of a code address."""

from __future__ import annotations

import os
from typing import Any

from tinspect.errors import FormatError
from tinspect.formats.dwarf_line_header import LineUnit, parse_line_unit
from tinspect.formats.dwarf_lines import LineRow, find_row
from tinspect.symbols.demangle import demangle
from tinspect.symbols.dwarf_file import DwarfFile, Unit, guarded
from tinspect.symbols.functions import FunctionIndex
from tinspect.symbols.protocol import SourceLine


@guarded
def find_source_line(dwarf: DwarfFile, functions: FunctionIndex, pc: int) -> SourceLine | None:
    """The source of ``pc`` (a virtual address of the file), or None. Raises FormatError."""
    unit = dwarf.find_unit(pc)
    if unit is None:
        return None
    located = _locate(dwarf, unit, pc)
    if located is None or located[1] == 0:
        return None
    try:
        scopes = functions.find(pc)
        inlined = tuple(function_name(dwarf, die) for die in scopes.inlined) if scopes is not None else ()
    except FormatError:
        inlined = ()  # the line is known all the same
    return SourceLine(*located, tuple(name for name in inlined if name))


def function_name(dwarf: DwarfFile, die: Any) -> str:
    """The name of a function's entry as its author wrote it, "" when it has none."""
    linkage = dwarf.name(die, "DW_AT_linkage_name") or dwarf.name(die, "DW_AT_MIPS_linkage_name")
    return demangle(linkage or dwarf.name(die) or b"")


def _locate(dwarf: DwarfFile, unit: Unit, pc: int) -> tuple[str, int] | None:
    attributes = dwarf.top(unit).attributes
    data = dwarf.image.find_section_data(".debug_line")
    if data is None or "DW_AT_stmt_list" not in attributes:
        return None
    lines = parse_line_unit(data, attributes["DW_AT_stmt_list"].value, dwarf.line_strings)
    row = find_row(lines.program, lines.layout, pc)
    if row is None:
        return None
    compiled_in = attributes.get("DW_AT_comp_dir")
    base = lines.directories[0] if lines.directories and lines.directories[0] else compiled_in and compiled_in.value
    return _path(lines, row, base or b""), row.line


def _path(lines: LineUnit, row: LineRow, base: bytes) -> str:
    """The file of a row. Relative directories count from that of the unit, ``base``."""
    if row.file >= len(lines.files):
        return "?"
    name, index = lines.files[row.file]
    if index >= len(lines.directories):
        return "?"
    parts = (base, lines.directories[index] if index else b"", name)
    return os.path.normpath(b"/".join(_below_last_root(parts))).decode("utf-8", "backslashreplace")


def _below_last_root(parts: tuple[bytes, ...]) -> list[bytes]:
    """What os.path.join would keep of paths of the build machine: all from the last absolute one on."""
    kept: list[bytes] = []
    for part in parts:
        if part.startswith(b"/"):
            kept.clear()
        if part:
            kept.append(part)
    return kept
