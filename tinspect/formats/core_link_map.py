"""The dynamic linker's list of loaded images (link.h: struct r_debug, struct link_map), read through a function.

Every pointer may lie: the walk is bounded, knows cycles, and ends at the first thing that cannot be read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import DT_DEBUG, PT_DYNAMIC

NODE_SIZE: Final = 40
DEBUG_SIZE: Final = 40
NAME_LIMIT: Final = 4096

_NODE = struct.Struct("<QQQQQ")
_DEBUG = struct.Struct("<i4xQ")
_DYNAMIC = struct.Struct("<QQ")
_ENTRY_LIMIT = 4096
_NODE_LIMIT = 65536

ReadBytes = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class LinkMapEntry:
    """One loaded image: ``node`` is the address of its struct link_map, ``dynamic`` of its dynamic section."""

    node: int
    bias: int
    name: str
    name_address: int
    dynamic: int


def find_debug_address(read: ReadBytes, segments: Iterable[Segment], bias: int) -> int | None:
    """The address of struct r_debug by DT_DEBUG of the executable; None when there is none or it cannot be read."""
    dynamic = next((segment for segment in segments if segment.type == PT_DYNAMIC), None)
    if dynamic is None:
        return None
    address = (dynamic.address + bias) % (1 << 64)
    for index in range(_ENTRY_LIMIT):
        try:
            tag, value = _DYNAMIC.unpack(read(address + index * _DYNAMIC.size, _DYNAMIC.size))
        except (MemoryUnreadable, ValueError):
            return None
        if tag == 0:
            return None
        if tag == DT_DEBUG:
            return value or None
    return None


def walk_link_map(read: ReadBytes, read_string: ReadBytes, debug_address: int) -> Iterator[LinkMapEntry]:
    """The images from r_debug.r_map on. ``read_string(address, limit)`` gives the bytes before a NUL."""
    try:
        _, node = _DEBUG.unpack(read(debug_address, _DEBUG.size))
        seen: set[int] = set()
        while node and node not in seen and len(seen) < _NODE_LIMIT:
            seen.add(node)
            bias, name_address, dynamic, following, _ = _NODE.unpack(read(node, _NODE.size))
            yield LinkMapEntry(node, bias, _name(read_string, name_address), name_address, dynamic)
            node = following
    except (MemoryUnreadable, ValueError):
        return


def _name(read_string: ReadBytes, address: int) -> str:
    try:
        return read_string(address, NAME_LIMIT).decode("utf-8", "surrogateescape") if address else ""
    except (MemoryUnreadable, ValueError):
        return ""
