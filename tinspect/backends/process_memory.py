"""Memory of a living process, without stopping it (process_vm_readv(2))."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

from tinspect.errors import MemoryUnreadable, TargetLost
from tinspect.model.address import AddressRange, merged
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.native import _inspect
from tinspect.target.scan import HIT_LIMIT, WordHits

# Flags of _inspect.page_states.
PAGE_PRESENT, PAGE_SWAPPED, PAGE_GUARD, PAGE_ZERO, PAGE_FILE, PAGE_MAYBE_GUARD = 1, 2, 4, 8, 16, 32


class ProcessMemory:
    """The memory of ``pid`` as it is at each read. Raises TargetLost when the process ended."""

    __slots__ = ("_mappings", "_pid")

    def __init__(self, pid: int, mappings: MappingTable) -> None:
        self._pid = pid
        self._mappings = mappings

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader."""
        try:
            return _inspect.read_memory(self._pid, address, size)
        except OverflowError:
            raise MemoryUnreadable(address, size) from None
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise TargetLost(f"Process {self._pid} ended while it was being looked at.") from None
            raise MemoryUnreadable(address, size) from None

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader. Guards installed inside a readable mapping are not known here."""
        return _parts(wanted, [m for m in self._mappings.overlapping(wanted) if m.is_readable])


class UnchangingMemory:
    """The read-only mappings of a process: text, constants, the vdso. They hold after the stop what they held during it."""

    __slots__ = ("_mappings", "_memory")

    def __init__(self, memory: ProcessMemory, mappings: MappingTable) -> None:
        self._memory = memory
        self._mappings = MappingTable(m for m in mappings if m.is_readable and not m.is_writable)

    def read(self, address: int, size: int) -> bytes:
        """See MemoryReader."""
        if self.readable(AddressRange.sized(address, size)) != (AddressRange.sized(address, size),):
            raise MemoryUnreadable(address, size, "it was not captured")
        try:
            return self._memory.read(address, size)
        except TargetLost:
            raise MemoryUnreadable(address, size, "the process has ended since") from None

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        """See MemoryReader."""
        return _parts(wanted, self._mappings.overlapping(wanted))


def _parts(wanted: AddressRange, mappings: Sequence[Mapping]) -> tuple[AddressRange, ...]:
    return merged(part for m in mappings if (part := m.range.intersection(wanted)) is not None)


def clipped(touched: Sequence[AddressRange], wanted: Sequence[AddressRange]) -> Iterator[AddressRange]:
    """Page states come in whole pages: what was asked for may begin or end inside one."""
    position = 0
    for area in wanted:
        while position and touched[position - 1].high > area.low:
            position -= 1
        while position < len(touched) and touched[position].low < area.high:
            part = touched[position].intersection(area)
            if part is not None:
                yield part
            position += 1


class ProcessScanner:
    """Searches the memory of a running process for words; only pages that hold something are read, so that none is faulted in."""

    __slots__ = ("_pid",)

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def scan(self, sources: Sequence[AddressRange], targets: Sequence[AddressRange]) -> WordHits:
        """See WordScanner."""
        try:
            runs = _inspect.page_states(self._pid, [(s.low, s.high) for s in sources])
            touched = merged(
                AddressRange(low, high) for low, high, flags in runs if flags & (PAGE_PRESENT | PAGE_SWAPPED)
            )
            wanted = [(part.low, part.high) for part in clipped(touched, sources)]
            packed, further, unreadable, _ = _inspect.scan_process(
                self._pid, wanted, [(t.low, t.high) for t in targets], limit=HIT_LIMIT
            )
        except OSError as error:
            raise TargetLost(f"The memory of process {self._pid} could not be searched: {error.strerror}.") from None
        return WordHits(packed, tuple(AddressRange(low, high) for low, high in unreadable), further)
