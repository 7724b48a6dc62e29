"""ELF images as they lie in a target's memory: what their headers, which cores keep, tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tinspect.errors import FormatError, MemoryUnreadable
from tinspect.formats.elf import ElfImage, Segment
from tinspect.formats.elf_constants import PF_W, PT_LOAD
from tinspect.formats.elf_rebuild import rebuild_image
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader

PAGE = 4096
_IMAGE_LIMIT = 128 << 20


def find_header(memory: MemoryReader, low: int) -> ElfImage | None:
    """The first page of the image mapped at ``low`` as an ElfImage: header, segments, and what notes lie in that page. None when it
    cannot be read or is no ELF header."""
    try:
        return ElfImage(memory.read(low, PAGE))
    except (MemoryUnreadable, FormatError):
        return None


def segment_range(segment: Segment, bias: int) -> AddressRange | None:
    """The pages a segment covers in the target, or None when they make no sense."""
    low, high = segment.address + bias, segment.address + segment.memory_size + bias
    if not 0 <= low < high <= ADDRESS_LIMIT - PAGE:
        return None
    return AddressRange(low // PAGE * PAGE, -(-high // PAGE) * PAGE)


def place_image(module: Module, image: ElfImage) -> Module | None:
    """The module, known by where it begins, with the bias and the span that its image's segments give; None when they make no sense."""
    loads = [segment for segment in image.segments if segment.type == PT_LOAD]
    if not loads:
        return None
    bias = module.range.low - (loads[0].address - loads[0].offset)
    pages = [found for segment in loads if (found := segment_range(segment, bias))]
    if not pages or pages[0].low != module.range.low:
        return None
    span = AddressRange(module.range.low, max(part.high for part in pages))
    return replace(module, load_bias=bias, range=span)


def writable_ranges(image: ElfImage, bias: int) -> Iterator[AddressRange]:
    """The pages the program may have written to: writable segments, also where RELRO made them read-only afterwards."""
    for segment in image.segments:
        if segment.type == PT_LOAD and segment.flags & PF_W and (pages := segment_range(segment, bias)):
            yield pages


def image_from_memory(memory: MemoryReader, module: Module) -> memoryview | None:
    """The module's file as far as its load segments hold it, put together from memory (writable ones as the program left them).
    None unless every byte of them is there: an image with holes would make facts of what is missing."""
    header = find_header(memory, module.range.low)
    loads = [segment for segment in header.segments if segment.type == PT_LOAD] if header else []
    if not loads or sum(segment.file_size for segment in loads) > _IMAGE_LIMIT:
        return None
    if max(segment.offset + segment.file_size for segment in loads) > _IMAGE_LIMIT:
        return None
    for segment in loads:
        low = segment.address + module.load_bias
        if not 0 <= low <= ADDRESS_LIMIT - segment.file_size:
            return None
        wanted = AddressRange.sized(low, segment.file_size)
        if wanted.size and memory.readable(wanted) != (wanted,):
            return None
    image = rebuild_image(memory.read, module.range.low)
    return memoryview(image).toreadonly() if image is not None else None
