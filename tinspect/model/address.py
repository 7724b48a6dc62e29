"""Half-open ranges of remote addresses. An address is a plain int, in bytes, of the target's address space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ADDRESS_LIMIT = 1 << 64


@dataclass(frozen=True, slots=True, order=True)
class AddressRange:
    """The addresses ``low <= address < high``. An empty range has ``low == high``."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= ADDRESS_LIMIT:
            raise ValueError(f"no address range: {self.low:#x}..{self.high:#x}")

    @classmethod
    def sized(cls, low: int, size: int) -> AddressRange:
        """The range of ``size`` bytes that starts at ``low``. Raises ValueError when it leaves the address space."""
        return cls(low, low + size)

    @property
    def size(self) -> int:
        """Bytes in the range."""
        return self.high - self.low

    def __contains__(self, address: int) -> bool:
        return self.low <= address < self.high

    def covers(self, other: AddressRange) -> bool:
        """Whether every address of ``other`` lies in this range."""
        return self.low <= other.low and other.high <= self.high

    def overlaps(self, other: AddressRange) -> bool:
        """Whether the two ranges share an address."""
        return self.low < other.high and other.low < self.high

    def intersection(self, other: AddressRange) -> AddressRange | None:
        """The shared addresses, or None."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return AddressRange(low, high) if low < high else None

    def __str__(self) -> str:
        return f"{self.low:#x}-{self.high:#x}"


def merged(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """Sorted, disjoint ranges that cover the same addresses; touching ranges become one, empty ones go."""
    result: list[AddressRange] = []
    for item in sorted(r for r in ranges if r.size):
        if result and item.low <= result[-1].high:
            result[-1] = AddressRange(result[-1].low, max(result[-1].high, item.high))
        else:
            result.append(item)
    return tuple(result)
