"""Memory a core left out because a file holds it: code and constants of modules, taken from files that proved to be the right ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import partial

from tinspect.backends.core_memory import Part
from tinspect.backends.loaded_image import segment_range, writable_ranges
from tinspect.formats.core_segments import CoreSegment
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PF_W, PF_X, PT_LOAD
from tinspect.formats.nt_file import FileMapping
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.target.target import ModuleFiles


class ImageSource:
    """A module's file as a ByteSource."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        """See ByteSource."""
        return bytes(self._data[offset : offset + size])


def parts_from_files(
    missing: Iterable[tuple[AddressRange, int]], mapped: Iterable[FileMapping], modules: ModuleTable, files: ModuleFiles
) -> Iterator[Part]:
    """Parts for the (range, flags) a core does not hold and a module's file does.

    Never for what the program may have written: not for writable memory, nor for memory that lies in a writable segment of the
    file and was made read-only after relocation (RELRO).
    """
    entries = sorted(mapped, key=lambda entry: entry.range)
    lows = [entry.range.low for entry in entries]
    for wanted, flags in missing:
        if flags & PF_W:
            continue
        for index in range(max(bisect_right(lows, wanted.low) - 1, 0), len(entries)):
            entry = entries[index]
            if entry.range.low >= wanted.high:
                break
            part = wanted.intersection(entry.range)
            module = modules.find(part.low) if part else None
            if part and module and not module.is_vdso and module.path == entry.name:
                offset = entry.offset + part.low - entry.range.low
                yield Part(part.low, part.high, offset, partial(_open_clean, files, module, part))


def _open_clean(files: ModuleFiles, module: Module, part: AddressRange) -> ImageSource | None:
    """The module's file, unless ``part`` lies in a segment that the file declares writable."""
    data = files.open_image(module)
    if data is None or any(map(part.overlaps, writable_ranges(ElfImage(data), module.load_bias))):
        return None
    return ImageSource(data)


def unlisted_mappings(mappings: MappingTable, modules: ModuleTable, files: ModuleFiles) -> Iterator[Mapping]:
    """The mappings that a core does not even list: gdb's gcore leaves out code and constants that no page was written to.

    They follow from the program headers of each module's file, whose build id is the target's.
    """
    for module in modules:
        data = files.open_image(module)
        if data is None or module.is_vdso:
            continue
        image = ElfImage(data)
        writable = tuple(writable_ranges(image, module.load_bias))
        for segment in image.segments:
            pages = segment_range(segment, module.load_bias) if segment.type == PT_LOAD else None
            if pages is None or any(map(pages.overlaps, (*writable, *(m.range for m in mappings.overlapping(pages))))):
                continue
            permissions = f"r-{'x' if segment.flags & PF_X else '-'}p"
            offset = segment.offset - (segment.address + module.load_bias - pages.low)
            yield Mapping(pages, permissions, offset, inode=1, name=module.path)


def missing_ranges(segments: Iterable[CoreSegment]) -> Iterator[tuple[AddressRange, int]]:
    """What the segments cover and the core does not hold, with the segment's flags."""
    for segment in segments:
        low = segment.range.low + segment.stored
        if low < segment.range.high:
            yield AddressRange(low, segment.range.high), segment.flags
