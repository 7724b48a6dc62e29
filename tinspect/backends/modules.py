"""Which ELF images are loaded, read from the target's mappings and memory alone: true also for deleted and replaced files."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from pathlib import PurePosixPath

from tinspect.errors import FormatError, MemoryUnreadable
from tinspect.formats.auxv import AT_ENTRY, AT_PHDR
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.target.memory import MemoryReader

_HEADER_BYTES = 4096
_PAGE = 4096


def find_modules(
    mappings: MappingTable, memory: MemoryReader, auxv: AbstractMapping[int, int], machine: int
) -> ModuleTable:
    """Every ELF image among the mappings: those of a file's start that begin with an ELF header, and the vdso.

    ``machine`` is the target's e_machine: images for other processors are an emulator's data, which it alone can run.
    """
    return ModuleTable(module for mapping in mappings for module in _module_at(mapping, memory, auxv, machine))


def _module_at(
    mapping: Mapping, memory: MemoryReader, auxv: AbstractMapping[int, int], machine: int
) -> Iterator[Module]:
    is_vdso = mapping.name == "[vdso]"
    if not is_vdso and (not mapping.is_file or mapping.offset != 0 or not mapping.is_readable):
        return
    try:
        image = ElfImage(memory.read(mapping.range.low, min(_HEADER_BYTES, mapping.range.size)))
    except (MemoryUnreadable, FormatError):
        return
    loads = [segment for segment in image.segments if segment.type == PT_LOAD]
    if not loads or image.header.machine != machine:
        return
    first = min(segment.address for segment in loads) & -_PAGE
    end = max(segment.address + segment.memory_size for segment in loads)
    bias = (mapping.range.low - first) & (1 << 64) - 1
    if not 0 < end - first < 1 << 47 or bias + end > 1 << 64:
        return
    area = AddressRange(mapping.range.low, mapping.range.low + end - first)
    yield Module(
        name=PurePosixPath(mapping.name).name,
        path=mapping.name,
        load_bias=bias,
        range=area,
        build_id=image.build_id,
        is_main=auxv.get(AT_PHDR, 0) in area or auxv.get(AT_ENTRY, 0) in area,
        is_vdso=is_vdso,
        deleted=mapping.deleted,
    )
