"""The dynamic linker's lists of loaded images (link.h: struct r_debug, struct link_map), the same in glibc and musl, read through a
function: of a process, or of its core.

Every pointer may lie: the walk is bounded, knows cycles, and ends at the first thing that cannot be read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import DT_DEBUG, DT_NULL, PT_DYNAMIC

NODE_SIZE: Final = 40
DEBUG_SIZE: Final = 40
NAME_LIMIT: Final = 4096

_NODE = struct.Struct("<QQQQQ")
_DEBUG = struct.Struct("<i4xQ")
_DYNAMIC = struct.Struct("<QQ")
_ENTRY_LIMIT = 4096
_NODE_LIMIT = 65536
_NAMESPACE_LIMIT = 64
_NEXT_NAMESPACE = 40  # r_next of struct r_debug_extended, since r_version 2 (glibc 2.35)
_UNREADABLE = (MemoryUnreadable, ValueError, OverflowError)

ReadBytes = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class LinkMapEntry:
    """One loaded image: ``node`` is the address of its struct link_map, ``dynamic`` of its dynamic section, which lies in it; ``bias`` is
    its load bias."""

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
        except _UNREADABLE:
            return None
        if tag == DT_NULL:
            return None
        if tag == DT_DEBUG:
            return value or None
    return None


def walk_link_map(read: ReadBytes, read_string: ReadBytes | None, debug_address: int) -> Iterator[LinkMapEntry]:
    """The images of every namespace (dlmopen(3)), the first one's from r_debug.r_map on. ``read_string(address, limit)`` gives the bytes
    before a NUL; without it names are left empty."""
    seen: set[int] = set()
    place = debug_address
    for _ in range(_NAMESPACE_LIMIT):
        try:
            version, node = _DEBUG.unpack(read(place, _DEBUG.size))
        except _UNREADABLE:
            return
        yield from _namespace(read, read_string, node, seen)
        following = _find_word(read, place + _NEXT_NAMESPACE) if version >= 2 else None
        if not following:
            return
        place = following


def _namespace(read: ReadBytes, read_string: ReadBytes | None, node: int, seen: set[int]) -> Iterator[LinkMapEntry]:
    while node and node not in seen and len(seen) < _NODE_LIMIT:
        seen.add(node)
        try:
            bias, name_address, dynamic, following, _ = _NODE.unpack(read(node, _NODE.size))
        except _UNREADABLE:
            return
        yield LinkMapEntry(node, bias, _name(read_string, name_address), name_address, dynamic)
        node = following


def _find_word(read: ReadBytes, address: int) -> int | None:
    try:
        return int.from_bytes(read(address, 8), "little")
    except _UNREADABLE:
        return None


def _name(read_string: ReadBytes | None, address: int) -> str:
    try:
        return read_string(address, NAME_LIMIT).decode("utf-8", "surrogateescape") if read_string and address else ""
    except _UNREADABLE:
        return ""
