"""Which images were loaded in the process of a core: by NT_FILE, else by the dynamic linker's list; the vdso by auxv."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tinspect.errors import FormatError, MemoryUnreadable, UnsupportedTarget
from tinspect.formats import auxv as aux
from tinspect.formats.core_elf import (
    HEADER_SIZE,
    PROGRAM_HEADER_SIZE,
    PT_LOAD,
    PT_NOTE,
    ProgramHeader,
    build_id_in_notes,
    parse_elf_header,
    parse_program_headers,
    parse_program_table,
)
from tinspect.formats.core_link_map import find_debug_address, walk_link_map
from tinspect.formats.nt_file import FileMapping
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader, read_c_string

PAGE = 4096
_NOTES_LIMIT = 1 << 16
_TABLE_LIMIT = 1 << 16
_IMAGE_LIMIT = 128 << 20

OpenFile = Callable[[Module], bytes | memoryview | None]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An ELF image as its program headers tell it: what was added to its addresses, and its build id ("" when out of reach)."""

    load_bias: int
    build_id: str
    headers: tuple[ProgramHeader, ...]

    @property
    def range(self) -> AddressRange | None:
        """The addresses its load segments cover, or None when they make no sense."""
        loads = [header for header in self.headers if header.type == PT_LOAD]
        if not loads:
            return None
        low = min(header.address for header in loads) // PAGE * PAGE + self.load_bias
        high = max(header.address + header.memory_size for header in loads) + self.load_bias
        return AddressRange(low, high) if 0 <= low < high < ADDRESS_LIMIT else None


def find_loaded_image(memory: MemoryReader, low: int) -> LoadedImage | None:
    """The image whose file begins at ``low``; None when its header cannot be read or is none."""
    try:
        header = parse_elf_header(memory.read(low, HEADER_SIZE))
        size = min(header.table_count * PROGRAM_HEADER_SIZE, _TABLE_LIMIT)
        headers = parse_program_table(memory.read(low + header.table_offset, size))
    except (MemoryUnreadable, FormatError, UnsupportedTarget):
        return None
    bias = _bias(headers, low)
    return None if bias is None else LoadedImage(bias, _build_id(memory, bias, headers), headers)


def _bias(headers: Iterable[ProgramHeader], low: int) -> int | None:
    """What was added to the addresses of a file whose first byte is mapped at ``low``."""
    first = next((entry for entry in headers if entry.type == PT_LOAD), None)
    return None if first is None else low - (first.address - first.offset)


def _build_id(memory: MemoryReader, bias: int, headers: Iterable[ProgramHeader]) -> str:
    for header in headers:
        if header.type == PT_NOTE:
            try:
                notes = memory.read(header.address + bias, min(header.file_size, _NOTES_LIMIT))
            except MemoryUnreadable:
                continue
            if found := build_id_in_notes(notes):
                return found
    return ""


def modules_by_files(
    files: Iterable[FileMapping],
    memory: MemoryReader,
    mappings: MappingTable,
    entry: int | None,
    open_file: OpenFile,
) -> tuple[Module, ...]:
    """A module for each mapped file that is an ELF image. ``entry`` is AT_ENTRY, which lies in the executable.

    Where the core holds no header of a file with code, ``open_file`` is asked for the file itself.
    """
    modules = []
    for group in _groups(files):
        span = AddressRange(group[0].range.low, max(part.range.high for part in group))
        image = find_loaded_image(memory, span.low)
        has_code = any(found.is_executable for part in group for found in mappings.overlapping(part.range))
        if image is None and not has_code:
            continue
        name = group[0].name
        module = Module(
            name=name.rpartition("/")[2],
            path=name,
            load_bias=image.load_bias if image else span.low,
            range=_with_bss(span, image),
            build_id=image.build_id if image else "",
            is_main=entry is not None and any(entry in part.range for part in group),
            deleted=group[0].deleted,
        )
        modules.append(module if image else _by_file(module, open_file))
    return tuple(modules)


def _by_file(module: Module, open_file: OpenFile) -> Module:
    """The module with the bias that its file's own headers give, where the file can be had."""
    data = open_file(module)
    if data is None:
        return module
    headers = parse_program_headers(data, parse_elf_header(data))
    bias = _bias(headers, module.range.low)
    if bias is None:
        return module
    span = _with_bss(module.range, LoadedImage(bias, "", headers))
    return Module(module.name, module.path, bias, span, "", module.is_main, False, module.deleted)


def _with_bss(span: AddressRange, image: LoadedImage | None) -> AddressRange:
    """With the bss, which no file backs."""
    whole = image.range if image else None
    return AddressRange(span.low, max(span.high, whole.high)) if whole and whole.low == span.low else span


def _groups(files: Iterable[FileMapping]) -> Iterator[list[FileMapping]]:
    """Runs of mappings of one file by address; a mapping from offset 0 that does not touch the last one begins another copy."""
    group: list[FileMapping] = []
    for entry in sorted(files, key=lambda item: item.range):
        if group and (entry.name != group[0].name or (entry.offset == 0 and entry.range.low != group[-1].range.high)):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def modules_by_link_map(memory: MemoryReader, vector: Mapping[int, int], executable: str) -> tuple[Module, ...]:
    """The modules the dynamic linker had loaded, for cores without NT_FILE; () when not even the executable can be found."""
    table = vector.get(aux.AT_PHDR, 0)
    main = find_loaded_image(memory, table // PAGE * PAGE) if table else None
    if main is None or main.range is None:
        return ()
    modules = [Module(executable.rpartition("/")[2], executable, main.load_bias, main.range, main.build_id, True)]
    debug = find_debug_address(memory.read, main.headers, main.load_bias)
    for entry in walk_link_map(memory.read, lambda at, limit: read_c_string(memory, at, limit), debug or 0):
        image = find_loaded_image(memory, entry.bias) if entry.name else None
        if image and image.range and not any(image.range.overlaps(module.range) for module in modules):
            name = entry.name
            modules.append(Module(name.rpartition("/")[2], name, image.load_bias, image.range, image.build_id))
    return tuple(modules)


def find_vdso(memory: MemoryReader, vector: Mapping[int, int]) -> Module | None:
    """The kernel's own image, whose bytes a core holds; None when auxv does not tell."""
    low = vector.get(aux.AT_SYSINFO_EHDR, 0)
    image = find_loaded_image(memory, low) if low else None
    if image is None or image.range is None:
        return None
    return Module("[vdso]", "[vdso]", image.load_bias, image.range, image.build_id, is_vdso=True)


def image_from_memory(memory: MemoryReader, module: Module) -> memoryview | None:
    """The module's file as far as its load segments hold it, put together from memory (writable ones as the program left them).
    None unless every byte of them is there: an image with holes would make facts of what is missing."""
    image = find_loaded_image(memory, module.range.low)
    loads = [header for header in image.headers if header.type == PT_LOAD] if image else []
    total = sum(header.file_size for header in loads)
    size = max((header.offset + header.file_size for header in loads), default=0)
    if image is None or not 0 < max(size, total) <= _IMAGE_LIMIT:
        return None
    content = bytearray(size)
    for header in loads:
        try:
            data = memory.read(header.address + image.load_bias, header.file_size)
        except MemoryUnreadable:
            return None
        content[header.offset : header.offset + header.file_size] = data
    return memoryview(content).toreadonly()
