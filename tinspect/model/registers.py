"""The registers of one thread, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegisterSet:
    """General registers of a thread. ``names`` and ``values`` run side by side; ``pc`` and ``sp`` are copies of two of them.

    Values are unsigned 64-bit ints. The names and their order are those of the architecture's table (``tinspect.arch``).
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    pc: int
    sp: int

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(zip(self.names, self.values, strict=True))

    def get(self, name: str) -> int | None:
        """The value of the register called ``name``, or None when this architecture has none of that name."""
        try:
            return self.values[self.names.index(name)]
        except ValueError:
            return None
