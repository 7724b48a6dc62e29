"""A core's segments as mappings with names, and as parts of memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from tinspect.backends.core_file import MappedFile
from tinspect.backends.core_image import CoreImage
from tinspect.backends.core_memory import Part
from tinspect.formats import auxv as aux
from tinspect.formats.core_segments import CoreSegment
from tinspect.formats.nt_file import FileMapping
from tinspect.model.mapping import Mapping, MappingTable


def build_mappings(image: CoreImage, named: Iterable[FileMapping]) -> MappingTable:
    """One mapping a segment, named by NT_FILE, or what stands in for it; "[stack]" and "[vdso]" by what auxv points at."""
    files = sorted(named, key=lambda entry: entry.range)
    lows = [entry.range.low for entry in files]
    labels = {
        image.notes.auxv.get(aux.AT_SYSINFO_EHDR, 0): "[vdso]",
        # The kernel put the program's name on the initial stack.
        image.notes.auxv.get(aux.AT_EXECFN, 0): "[stack]",
    }
    labels.pop(0, None)
    return MappingTable(_mapping(segment, files, lows, labels) for segment in image.segments)


def _mapping(segment: CoreSegment, files: list[FileMapping], lows: list[int], labels: dict[int, str]) -> Mapping:
    index = bisect_right(lows, segment.range.low) - 1
    if index >= 0 and segment.range.low in files[index].range:
        entry = files[index]
        offset = entry.offset + segment.range.low - entry.range.low
        return Mapping(segment.range, segment.permissions, offset, name=entry.name, deleted=entry.deleted)
    name = next((label for address, label in labels.items() if address in segment.range), "")
    return Mapping(segment.range, segment.permissions, name=name)


def file_mappings(mappings: MappingTable) -> Iterator[FileMapping]:
    """The mappings of files among them."""
    return (FileMapping(m.range, m.offset, m.name, m.deleted) for m in mappings if m.name.startswith("/"))


def held_parts(image: CoreImage) -> Iterator[Part]:
    """What the core file itself holds."""

    def file() -> MappedFile:
        return image.file

    for segment in image.segments:
        if segment.stored:
            low = segment.range.low
            yield Part(low, low + segment.stored, segment.offset, file)
