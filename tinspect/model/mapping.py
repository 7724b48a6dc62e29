"""Memory mappings of the target, as /proc/PID/maps or a core's program headers tell them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinspect.model.address import AddressRange


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping (proc_pid_maps(5)).

    ``permissions`` is the four letters of maps ("r-xp"); a core knows no sharing and writes "p".
    ``name`` is the path of the file, or the kernel's label ("[stack]", "[vdso]"), or "".
    """

    range: AddressRange
    permissions: str
    offset: int = 0
    device: str = "00:00"
    inode: int = 0
    name: str = ""
    deleted: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the target itself may read it."""
        return self.permissions[0] == "r"

    @property
    def is_writable(self) -> bool:
        """Whether the target itself may write to it."""
        return self.permissions[1] == "w"

    @property
    def is_executable(self) -> bool:
        """Whether the target may run code from it."""
        return self.permissions[2] == "x"

    @property
    def is_file(self) -> bool:
        """Whether a file backs it."""
        return self.inode != 0 or self.name.startswith("/")


class MappingTable:
    """Immutable table of mappings, sorted by address, that answers which mapping holds an address in O(log n)."""

    __slots__ = ("_entries", "_lows")

    def __init__(self, entries: Iterable[Mapping]) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: entry.range.low))
        self._lows = [entry.range.low for entry in self._entries]

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, address: int) -> Mapping | None:
        """The mapping that holds ``address``, or None."""
        index = bisect_right(self._lows, address) - 1
        if index < 0 or address not in self._entries[index].range:
            return None
        return self._entries[index]

    def find_named(self, name: str) -> Mapping | None:
        """The first mapping of that name ("[stack]", "[vdso]", a path), or None."""
        return next((entry for entry in self._entries if entry.name == name), None)

    def overlapping(self, wanted: AddressRange) -> tuple[Mapping, ...]:
        """Every mapping that shares an address with ``wanted``, by address."""
        index = max(bisect_right(self._lows, wanted.low) - 1, 0)
        found = []
        # By index: a slice would copy the rest of a table that may have 100,000 entries.
        for position in range(index, len(self._entries)):
            entry = self._entries[position]
            if entry.range.low >= wanted.high:
                break
            if entry.range.overlaps(wanted):
                found.append(entry)
        return tuple(found)
