"""Modules of a core that its own bytes do not show: files with code whose headers were not dumped, and cores without NT_FILE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from tinspect.backends.loaded_image import PAGE, find_header, segment_range
from tinspect.formats import auxv as aux
from tinspect.formats.core_link_map import find_debug_address, walk_link_map
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD
from tinspect.formats.nt_file import FileMapping
from tinspect.model.address import AddressRange
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.target.memory import MemoryReader, read_c_string

OpenFile = Callable[[Module], bytes | memoryview | None]


def modules_without_header(
    files: Iterable[FileMapping], known: ModuleTable, mappings: MappingTable, entry: int | None, open_file: OpenFile
) -> Iterator[Module]:
    """A module for each mapped file with code that is not ``known``. ``entry`` is AT_ENTRY, which lies in the executable.

    ``open_file`` is asked for the file itself, whose own headers tell the bias; without it the file is taken to start at 0.
    """
    for group in _groups(files):
        span = AddressRange(group[0].range.low, max(part.range.high for part in group))
        has_code = any(found.is_executable for part in group for found in mappings.overlapping(part.range))
        if not has_code or known.find(span.low) is not None:
            continue
        is_main = entry is not None and entry in span
        name = group[0].name
        module = Module(
            name.rpartition("/")[2], name, span.low, span, is_main=is_main, deleted=group[0].deleted
        )  # fmt: skip
        data = open_file(module)
        yield _placed(module, ElfImage(data)) or module if data is not None else module


def _placed(module: Module, image: ElfImage) -> Module | None:
    """The module with the bias and the span that its image's segments give; None when they make no sense."""
    loads = [segment for segment in image.segments if segment.type == PT_LOAD]
    if not loads:
        return None
    bias = module.range.low - (loads[0].address - loads[0].offset)
    pages = [found for segment in loads if (found := segment_range(segment, bias))]
    if not pages or pages[0].low != module.range.low:
        return None
    span = AddressRange(module.range.low, max(part.high for part in pages))
    return Module(
        module.name, module.path, bias, span, module.build_id or "", module.is_main, False, module.deleted
    )  # fmt: skip


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


def modules_by_link_map(memory: MemoryReader, vector: Mapping[int, int], executable: str) -> Iterator[Module]:
    """The executable and the modules the dynamic linker had loaded, as far as their headers can be read."""
    table = vector.get(aux.AT_PHDR, 0)
    main = _module_at(memory, table // PAGE * PAGE, executable, is_main=True) if table else None
    image = find_header(memory, main.range.low) if main else None
    if main is None or image is None:
        return
    yield main
    found = [main.range]
    debug = find_debug_address(memory.read, image.segments, main.load_bias)
    for entry in walk_link_map(memory.read, lambda at, limit: read_c_string(memory, at, limit), debug or 0):
        module = _module_at(memory, entry.bias, entry.name) if entry.name else None
        if module is not None and not any(module.range.overlaps(other) for other in found):
            found.append(module.range)
            yield module


def _module_at(memory: MemoryReader, low: int, path: str, is_main: bool = False) -> Module | None:
    """The module whose file begins at ``low``."""
    image = find_header(memory, low)
    if image is None:
        return None
    bare = Module(path.rpartition("/")[2], path, low, AddressRange(low, low + PAGE), image.build_id, is_main)
    return _placed(bare, image)
