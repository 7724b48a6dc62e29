"""Structures that hold their own address: how a thread descriptor is found where no symbol leads to it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange
from tinspect.target.memory import MemoryReader

_CHUNK = 1 << 18


def find_self_pointers(memory: MemoryReader, ranges: Iterable[AddressRange], limit: int) -> Iterator[int]:
    """The aligned addresses in ``ranges`` whose word is the address itself; at most ``limit`` bytes are read, 8 at a time."""
    for wanted in ranges:
        low = -(-wanted.low // 8) * 8
        while low < wanted.high and limit > 0:
            size = min(_CHUNK, wanted.high - low, limit) // 8 * 8
            if not size:
                break
            try:
                data = memory.read(low, size)
            except MemoryUnreadable:
                data = b""
            for index, (word,) in enumerate(struct.iter_unpack("<Q", data)):
                if word == low + 8 * index:
                    yield word
            low += size
            limit -= size
