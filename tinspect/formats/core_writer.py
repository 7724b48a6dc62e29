"""An ELF core as a stream of bytes, written from start to end: headers, notes, then memory at page-congruent offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from tinspect.formats.core_headers import (
    HEADER_SIZE,
    SEGMENT_SIZE,
    pack_core_header,
    pack_counting_section,
    pack_segment,
)
from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import PT_LOAD, PT_NOTE

PIECE: Final = 1 << 20
ALIGNMENT: Final = 8
_PAGE: Final = 4096


class OutputSegment(NamedTuple):
    """``size`` bytes of the address space from ``address`` on; ``stored``: they are in the core, else only their place is."""

    address: int
    size: int
    flags: int
    stored: bool


def core_pieces(
    machine: int, notes: bytes, segments: Sequence[OutputSegment], read: Callable[[int, int], bytes]
) -> Iterator[bytes]:
    """The bytes of a core in pieces of at most a MiB. ``read(address, size)`` gives the memory of stored segments.

    Segments need not begin and end at pages: exactly what is known is stored. They are aligned to ALIGNMENT, since libdwfl rounds
    addresses to the least p_align there is, and with 1 reads nothing. A stored segment lies in the file at an offset congruent
    to its address, so that whole pages of zeros can become holes.
    """
    count = len(segments) + 1
    section = pack_counting_section(count)
    notes_offset = HEADER_SIZE + count * SEGMENT_SIZE + len(section)
    yield pack_core_header(machine, count)
    yield pack_segment(Segment(PT_NOTE, 0, notes_offset, 0, len(notes), 0, 4))
    offsets = _lay_out(segments, notes_offset + len(notes))
    for segment, offset in zip(segments, offsets, strict=True):
        stored = segment.size if segment.stored else 0
        yield pack_segment(Segment(PT_LOAD, segment.flags, offset, segment.address, stored, segment.size, ALIGNMENT))
    yield section
    yield notes
    position = notes_offset + len(notes)
    for segment, offset in zip(segments, offsets, strict=True):
        if segment.stored:
            yield bytes(offset - position)
            yield from _memory(segment, read)
            position = offset + segment.size


def _lay_out(segments: Sequence[OutputSegment], position: int) -> list[int]:
    """The file offset of each segment; one that is not stored stands where the next would."""
    offsets = []
    for segment in segments:
        if segment.stored:
            position += (segment.address - position) % _PAGE
        offsets.append(position)
        if segment.stored:
            position += segment.size
    return offsets


def _memory(segment: OutputSegment, read: Callable[[int, int], bytes]) -> Iterator[bytes]:
    end = segment.address + segment.size
    for address in range(segment.address, end, PIECE):
        yield read(address, min(PIECE, end - address))
