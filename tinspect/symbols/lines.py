"""File, line and inlined functions of a code address."""

from __future__ import annotations

import os
from typing import Any

from tinspect.errors import FormatError
from tinspect.formats.dwarf_lines import LineHeader, LineRow, find_row
from tinspect.symbols.demangle import demangle
from tinspect.symbols.dwarf_file import DwarfFile, Unit, guarded
from tinspect.symbols.functions import FunctionIndex
from tinspect.symbols.protocol import SourceLine


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


@guarded
def _locate(dwarf: DwarfFile, unit: Unit, pc: int) -> tuple[str, int] | None:
    program = dwarf.info.line_program_for_CU(unit)
    data = dwarf.image.find_section_data(".debug_line")
    if program is None or data is None:
        return None
    header = program.header
    layout = LineHeader(
        header.minimum_instruction_length,
        header.get("maximum_operations_per_instruction", 1),
        header.line_base,
        header.line_range,
        header.opcode_base,
        tuple(header.standard_opcode_lengths),
        bool(header.default_is_stmt),
    )
    row = find_row(data[program.program_start_offset : program.program_end_offset], layout, pc)
    return None if row is None else (_path(unit, header, row), row.line)


def _path(unit: Unit, header: Any, row: LineRow) -> str:
    """The file of a row. Relative directories count from that of the unit, which is entry 0 (DWARF 5, 6.2.4; before version 5 the
    tables leave entry 0 out)."""
    compiled_in = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    directories = [_text(directory) for directory in header.include_directory]
    files = list(header.file_entry)
    if header.version < 5:
        directories.insert(0, _text(compiled_in.value) if compiled_in is not None else "")
        files.insert(0, None)
    file = files[row.file] if row.file < len(files) else None
    if file is None or file.dir_index >= len(directories):
        return "?"
    directory = directories[file.dir_index] if file.dir_index else ""
    return os.path.normpath(os.path.join(directories[0], directory, _text(file.name)))  # noqa: PTH118 - of the build machine


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value or "")
