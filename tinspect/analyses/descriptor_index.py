"""Whose descriptor (libc's struct of a thread) holds an address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from tinspect.libc.protocol import ThreadDescriptor


class DescriptorIndex:
    """The descriptors of all threads by address."""

    def __init__(self, descriptors: Iterable[ThreadDescriptor]) -> None:
        self._descriptors = sorted(descriptors, key=_address)
        self._addresses = [descriptor.address for descriptor in self._descriptors]

    def find(self, address: int) -> ThreadDescriptor | None:
        """The descriptor in which ``address`` lies, or None."""
        index = bisect_right(self._addresses, address) - 1
        if index < 0 or address >= self._addresses[index] + self._descriptors[index].size:
            return None
        return self._descriptors[index]


def _address(descriptor: ThreadDescriptor) -> int:
    return descriptor.address
