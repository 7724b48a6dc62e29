"""The header of a line number program (DWARF 5, 6.2.4): what its opcodes mean, and its tables of directories and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinspect.errors import FormatError
from tinspect.formats.dwarf_lines import LineHeader
from tinspect.formats.dwarf_reader import DwarfReader
from tinspect.formats.section_data import read_bytes_string

_FILE_LIMIT = 200_000
_PATH, _DIRECTORY_INDEX = 1, 2  # DW_LNCT_path, DW_LNCT_directory_index


@dataclass(frozen=True, slots=True)
class LineUnit:
    """One line number program: its ``layout``, its instructions, and where its rows' files are.

    ``directories`` and ``files`` (name, directory index) count from 0 in every version: entry 0 of the directories is the unit's
    own, empty before version 5; entry 0 of the files before version 5 is a placeholder.
    """

    layout: LineHeader
    program: memoryview
    directories: tuple[bytes, ...]
    files: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class LineStrings:
    """The string sections a header may point into; empty where the file has none."""

    strings: memoryview
    line_strings: memoryview


def parse_line_unit(data: memoryview, offset: int, strings: LineStrings) -> LineUnit:
    """The line number program at ``offset`` of .debug_line. Raises FormatError."""
    reader = DwarfReader(data, offset)
    length, offset_size = reader.initial_length()
    end = reader.position + length
    version = reader.fixed(2)
    if end > len(data) or not 2 <= version <= 5:
        raise FormatError(f"a line number program of version {version} that does not fit.")
    reader.end = end
    if version == 5 and (reader.uint8(), reader.uint8()) != (8, 0):
        raise FormatError("a line number program for other than flat 64-bit addresses.")
    header_length = reader.fixed(offset_size)
    start = reader.position + header_length
    minimum = reader.uint8()
    maximum = reader.uint8() if version >= 4 else 1
    is_statement, base, line_range, opcode_base = reader.uint8(), reader.fixed(1, True), reader.uint8(), reader.uint8()
    counts = tuple(reader.block(max(opcode_base - 1, 0)))
    layout = LineHeader(minimum, maximum, base, line_range, opcode_base, counts, bool(is_statement))
    tables = _parse_tables if version == 5 else _parse_old_tables
    directories, files = tables(reader, offset_size, strings)
    return LineUnit(layout, data[start:end], directories, files)


_Tables = tuple[tuple[bytes, ...], tuple[tuple[bytes, int], ...]]


def _parse_old_tables(reader: DwarfReader, _offset_size: int, _strings: LineStrings) -> _Tables:
    directories, files = [b""], [(b"", 0)]
    while (name := reader.c_string(4096)) and len(directories) < _FILE_LIMIT:
        directories.append(name)
    while (name := reader.c_string(4096)) and len(files) < _FILE_LIMIT:
        files.append((name, reader.uleb128()))
        reader.uleb128(), reader.uleb128()  # time and size
    return tuple(directories), tuple(files)


def _parse_tables(reader: DwarfReader, offset_size: int, strings: LineStrings) -> _Tables:
    forms = _Forms(reader, offset_size, strings)
    directories = tuple(entry.get(_PATH, b"") for entry in forms.table())
    files = tuple((entry.get(_PATH, b""), entry.get(_DIRECTORY_INDEX, 0)) for entry in forms.table())
    return (
        tuple(name if isinstance(name, bytes) else b"" for name in directories),
        tuple(
            (name if isinstance(name, bytes) else b"", index if isinstance(index, int) else 0) for name, index in files
        ),
    )


class _Forms:
    """Tables whose entries describe their own format (DWARF 5, 6.2.4.1)."""

    def __init__(self, reader: DwarfReader, offset_size: int, strings: LineStrings) -> None:
        self.reader = reader
        read: dict[int, Callable[[], bytes | int]] = {
            0x08: lambda: reader.c_string(4096),  # string
            0x0E: lambda: read_bytes_string(strings.strings, reader.fixed(offset_size)),  # strp
            0x1F: lambda: read_bytes_string(strings.line_strings, reader.fixed(offset_size)),  # line_strp
            0x0B: reader.uint8,  # data1
            0x05: lambda: reader.fixed(2),
            0x06: lambda: reader.fixed(4),
            0x07: lambda: reader.fixed(8),
            0x1E: lambda: bytes(reader.block(16)),  # data16: the MD5 of a file
            0x0F: reader.uleb128,  # udata
            0x09: lambda: bytes(reader.block(reader.uleb128())),  # block
        }
        self._read = read

    def table(self) -> list[dict[int, bytes | int]]:
        """One table: its format, then its entries."""
        reader = self.reader
        layout = [(reader.uleb128(), reader.uleb128()) for _ in range(reader.uint8())]
        count = reader.uleb128()
        # Every form read here takes at least a byte, so a count beyond what is left lies.
        if count > min(_FILE_LIMIT, reader.end - reader.position) or (count and not layout):
            raise FormatError(f"a line number program that claims {count} files.")
        entries = []
        for _ in range(count):
            entry: dict[int, bytes | int] = {}
            for content, form in layout:
                read = self._read.get(form)
                if read is None:
                    raise FormatError(f"a form {form:#x} in a line number program.")
                entry[content] = read()
            entries.append(entry)
        return entries
