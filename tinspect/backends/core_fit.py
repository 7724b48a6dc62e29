"""Whether a file can be the one a module was mapped from, where a core holds no build id of it: all that it does hold must agree."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tinspect.backends.loaded_image import place_image
from tinspect.errors import FormatError, MemoryUnreadable
from tinspect.formats import auxv as aux
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import DT_DEBUG, PT_DYNAMIC
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader

_ENTRY = struct.Struct("<QQ")
_WORD_MASK = (1 << 64) - 1


def find_misfit(
    memory: MemoryReader, vector: Mapping[int, int], machine: int, module: Module, data: bytes | memoryview
) -> str | None:
    """What of the file ``data`` contradicts the core; None when nothing does. ``vector`` is the auxiliary vector, ``machine`` the
    core's e_machine. A file that is no ELF file contradicts nothing here: that is told elsewhere."""
    try:
        image = ElfImage(data)
    except FormatError:
        return None
    if image.header.machine != machine:
        return f"is for another processor (ELF machine {image.header.machine})"
    placed = place_image(module, image)
    if placed is None:
        return f"cannot lie at {module.range.low:#x}"
    if aux.AT_PHDR in vector and vector[aux.AT_PHDR] in placed.range and _has_other_entry(image, placed, vector):
        return "has another entry point, or other program headers"
    if not _dynamic_agrees(memory, image, placed.load_bias):
        return "has another dynamic section"
    return None


def _has_other_entry(image: ElfImage, module: Module, vector: Mapping[int, int]) -> bool:
    """The kernel told the program's own entry and number of program headers beside AT_PHDR (fs/binfmt_elf.c)."""
    entry = (image.header.entry + module.load_bias) & _WORD_MASK
    count = len(image.segments)
    return vector.get(aux.AT_ENTRY, entry) != entry or vector.get(aux.AT_PHNUM, count) != count


def _dynamic_agrees(memory: MemoryReader, image: ElfImage, bias: int) -> bool:
    """Whether the dynamic section in memory, where it is held, is the file's: the dynamic linker adds the bias to some values and
    fills in DT_DEBUG (elf/get-dynamic-info.h); sizes, counts and places in the file differ with nearly every build."""
    segment = image.find_segment(PT_DYNAMIC)
    if segment is None:
        return True
    try:
        held = memory.read((segment.address + bias) & _WORD_MASK, len(image.dynamic) * _ENTRY.size)
    except (MemoryUnreadable, ValueError):
        return True
    return all(
        tag == own_tag and (tag == DT_DEBUG or value in (own, (own + bias) & _WORD_MASK))
        for (tag, value), (own_tag, own) in zip(_ENTRY.iter_unpack(held), image.dynamic, strict=True)
    )
