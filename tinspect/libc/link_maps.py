"""The dynamic linker's list of loaded objects (link.h: struct r_debug, struct link_map), the same in glibc and musl."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf_constants import PT_DYNAMIC
from tinspect.libc.segments import read_segments
from tinspect.model.module import Module, ModuleTable
from tinspect.target.memory import MemoryReader, find_word

_DYNAMIC = struct.Struct("<qQ")
_DT_NULL, _DT_DEBUG = 0, 21
_MOST_OBJECTS = 65_536
_MOST_NAMESPACES = 64
_MOST_TAGS = 512


@dataclass(frozen=True, slots=True)
class LinkMap:
    """One loaded object: the address of its struct link_map, its load bias, and the address of its dynamic section."""

    address: int
    load_bias: int
    dynamic: int

    def find_module(self, modules: ModuleTable) -> Module | None:
        """The module this is: the one whose memory holds its dynamic section."""
        return modules.find(self.dynamic)


def find_r_debug(memory: MemoryReader, executable: Module) -> int | None:
    """The address in the executable's DT_DEBUG entry, which the dynamic linker fills in; None when there is none."""
    for segment in read_segments(memory, executable):
        if segment.type != PT_DYNAMIC:
            continue
        place = executable.load_bias + segment.address
        for index in range(min(segment.memory_size // _DYNAMIC.size, _MOST_TAGS)):
            try:
                tag, value = _DYNAMIC.unpack(memory.read(place + index * _DYNAMIC.size, _DYNAMIC.size))
            except (MemoryUnreadable, ValueError, OverflowError):
                return None
            if tag == _DT_DEBUG:
                return value or None
            if tag == _DT_NULL:
                break
    return None


def read_link_maps(memory: MemoryReader, r_debug: int) -> Iterator[LinkMap]:
    """Every object of every namespace (dlmopen(3); r_next since r_version 2, glibc 2.35). Ends early at damage."""
    seen: set[int] = set()
    place: int | None = r_debug
    for _ in range(_MOST_NAMESPACES):
        if not place:
            return
        version = (find_word(memory, place) or 0) & 0xFFFFFFFF
        address = find_word(memory, place + 8)
        while address and address not in seen and len(seen) < _MOST_OBJECTS:
            seen.add(address)
            bias, dynamic = find_word(memory, address), find_word(memory, address + 16)
            if bias is None or dynamic is None:
                break
            yield LinkMap(address, bias, dynamic)
            address = find_word(memory, address + 24)
        place = find_word(memory, place + 40) if version >= 2 else None
