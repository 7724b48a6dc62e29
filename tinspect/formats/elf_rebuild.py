"""An ELF file rebuilt from its mapped image: for the vdso, deleted files and cores, whose file cannot be had."""

from __future__ import annotations

from collections.abc import Callable

from tinspect.errors import FormatError
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PT_LOAD

_PAGE = 4096
_SIZE_LIMIT = 1 << 30
_CHUNK = 1 << 20

ReadBytes = Callable[[int, int], bytes | None]
"""(address, size) → exactly these bytes of the target, or None."""


def rebuild_image(read: ReadBytes, base: int) -> bytearray | None:
    """The file whose first byte is mapped at ``base``: header and load segments at their file offsets, zeros where nothing was read.

    What only the file had (section table, .symtab, .debug_*) is missing, unless it lies within the mapped pages, as in the vdso.
    Writable segments hold what the program made of them. None when no ELF header is mapped there; at most 1 GiB is read.
    """
    first = read(base, _PAGE)
    if first is None:
        return None
    try:
        image = ElfImage(first)
    except FormatError:
        return None
    loads = [segment for segment in image.segments if segment.type == PT_LOAD and segment.file_size]
    size = max((segment.offset + segment.file_size for segment in loads), default=0)
    start = min((segment.address - segment.offset for segment in loads), default=0)
    if not loads or size > _SIZE_LIMIT:
        return None
    result = bytearray(size)
    result[: min(size, _PAGE)] = first[:size]
    for segment in loads:
        _copy(read, base - start + segment.address, result, segment.offset, segment.file_size)
    return result


def _copy(read: ReadBytes, address: int, into: bytearray, offset: int, size: int) -> None:
    """Copies what can be read, a page at a time where a larger block cannot."""
    position = 0
    step = _CHUNK
    while position < size:
        length = min(step - (address + position) % step, size - position)
        data = read(address + position, length)
        if data is not None:
            into[offset + position : offset + position + length] = data
            step = _CHUNK
        elif step > _PAGE and length > _PAGE:
            step = _PAGE
            continue
        position += length
