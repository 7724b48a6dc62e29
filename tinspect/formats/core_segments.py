"""The load segments of a core, made sound: sorted, disjoint, within the address space, and cut to what the file holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import PF_R, PF_W, PF_X, PT_LOAD
from tinspect.model.address import ADDRESS_LIMIT, AddressRange


@dataclass(frozen=True, slots=True)
class CoreSegment:
    """One mapping of the process. The first ``stored`` bytes of ``range`` lie in the file at ``offset``; the others do not."""

    range: AddressRange
    flags: int
    offset: int
    stored: int

    @property
    def permissions(self) -> str:
        """The four letters of maps; a core does not tell shared from private and gets "p"."""
        letters = zip("rwx", (PF_R, PF_W, PF_X), strict=True)
        return "".join(letter if self.flags & bit else "-" for letter, bit in letters) + "p"


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """The segments by address; ``missing`` counts the bytes that the headers promise and the file does not hold."""

    segments: tuple[CoreSegment, ...]
    missing: int
    problems: tuple[str, ...]


def sound_segments(headers: Iterable[Segment], file_size: int) -> SegmentTable:
    """The load segments among ``headers``. Of two that overlap the one that starts first keeps the shared addresses."""
    loads = sorted((header for header in headers if header.type == PT_LOAD), key=lambda header: header.address)
    segments: list[CoreSegment] = []
    missing = wrapped = overlapping = 0
    end = 0
    for header in loads:
        size = max(header.memory_size, header.file_size)
        if header.address + size > ADDRESS_LIMIT:
            wrapped += 1
            continue
        low, high = max(header.address, end), header.address + size
        overlapping += low != header.address
        if low >= high:
            continue
        skipped = low - header.address
        wanted = max(header.file_size - skipped, 0)
        stored = min(wanted, max(file_size - header.offset - skipped, 0))
        missing += wanted - stored
        segments.append(CoreSegment(AddressRange(low, high), header.flags, header.offset + skipped, stored))
        end = high
    problems = []
    if wrapped:
        problems.append(f"{wrapped} segments reach past the end of the address space and were left out.")
    if overlapping:
        problems.append(f"{overlapping} segments overlap others; of shared addresses the first segment's bytes count.")
    return SegmentTable(tuple(segments), missing, tuple(problems))
