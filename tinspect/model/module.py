"""Loaded ELF images: the executable, its libraries, the vdso."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinspect.model.address import AddressRange


@dataclass(frozen=True, slots=True)
class Module:
    """One loaded image.

    ``load_bias`` is what is added to a virtual address of the file to get the address in the target.
    ``range`` spans from the first to the last mapped byte (holes included). ``build_id`` is lower-case hex, "" when unknown.
    ``tls_module_id`` is the index into the DTV when the link map told it, else None.
    """

    name: str
    path: str
    load_bias: int
    range: AddressRange
    build_id: str = ""
    is_main: bool = False
    is_vdso: bool = False
    deleted: bool = False
    tls_module_id: int | None = None


class ModuleTable:
    """Immutable table of modules, sorted by address."""

    __slots__ = ("_entries", "_lows")

    def __init__(self, entries: Iterable[Module]) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: entry.range.low))
        self._lows = [entry.range.low for entry in self._entries]

    def __iter__(self) -> Iterator[Module]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, address: int) -> Module | None:
        """The module whose span holds ``address``, or None."""
        index = bisect_right(self._lows, address) - 1
        if index < 0 or address not in self._entries[index].range:
            return None
        return self._entries[index]

    @property
    def main(self) -> Module | None:
        """The executable, or None when it is not known."""
        return next((entry for entry in self._entries if entry.is_main), None)
