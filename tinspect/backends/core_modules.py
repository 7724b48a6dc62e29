"""Modules of a core that its own bytes do not show: files with code whose headers were not dumped, and cores without NT_FILE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from tinspect.backends.loaded_image import PAGE, find_header, place_image, segment_range
from tinspect.formats import auxv as aux
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD
from tinspect.formats.link_map import find_debug_address, walk_link_map
from tinspect.formats.nt_file import FileMapping
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.target.memory import MemoryReader, read_c_string

# More images than any process loads: a file is looked for for each.
_LISTED_LIMIT = 4096

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
        yield place_image(module, ElfImage(data)) or module if data is not None else module


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


def modules_by_link_map(
    memory: MemoryReader, vector: Mapping[int, int], executable: str, open_file: OpenFile
) -> Iterator[Module]:
    """The executable and the modules the dynamic linker had loaded, by their headers, or by their files where no header is held
    (QEMU leaves them out). ``executable`` is its path; ``open_file`` is asked for the file of each."""
    table = vector.get(aux.AT_PHDR, 0)
    main = _module_at(memory, table // PAGE * PAGE, executable, open_file, is_main=True) if table else None
    if main is None:
        return
    module, image = main
    yield module
    found = [module.range]
    debug = find_debug_address(memory.read, image.segments, module.load_bias)

    def read_name(address: int, limit: int) -> bytes:
        """The dynamic linker's own name is the executable's PT_INTERP, in pages that a core may leave to the file."""
        data = image.data_from(address - module.load_bias)
        return bytes(data[:limit]).split(b"\0")[0] if data else read_c_string(memory, address, limit)

    for entry in islice(walk_link_map(memory.read, read_name, debug or 0), _LISTED_LIMIT):
        loaded = _module_at(memory, entry.bias, entry.name, open_file) if entry.name else None
        if loaded is not None and not any(loaded[0].range.overlaps(other) for other in found):
            found.append(loaded[0].range)
            yield loaded[0]


def _module_at(
    memory: MemoryReader, low: int, path: str, open_file: OpenFile, is_main: bool = False
) -> tuple[Module, ElfImage] | None:
    """The module whose file begins at ``low``, and its headers."""
    if low > ADDRESS_LIMIT - PAGE:
        return None  # a hostile list
    image = find_header(memory, low)
    bare = Module(
        path.rpartition("/")[2], path, low, AddressRange(low, low + PAGE), image.build_id if image else "", is_main
    )
    if image is None:
        data = open_file(bare)
        if data is None:
            return None
        image = ElfImage(data)
    placed = place_image(bare, image)
    return (placed, image) if placed is not None else None


def mapped_files(modules: Iterable[Module], open_file: OpenFile) -> Iterator[FileMapping]:
    """What NT_FILE would say of the modules, by the load segments of their files."""
    for module in modules:
        data = open_file(module) if not module.is_vdso else None
        for segment in ElfImage(data).segments if data is not None else ():
            pages = segment_range(replace(segment, memory_size=segment.file_size), module.load_bias)
            if segment.type == PT_LOAD and pages is not None:
                offset = segment.offset - (segment.address + module.load_bias - pages.low)
                yield FileMapping(pages, offset, module.path)
