"""Thread-local storage blocks of musl (src/env/__init_tls.c, ldso/dynlink.c): the DTV is a count, then a pointer for each module."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.formats.elf import Segment
from tinspect.formats.link_map import LinkMapEntry
from tinspect.libc.link_maps import read_link_maps
from tinspect.libc.segments import find_tls_segment, static_reach
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.model.source import Source
from tinspect.model.tls import TlsBlock
from tinspect.target.memory import MemoryReader, find_word
from tinspect.target.target import Target

_OBJECT_BYTES = 512  # struct dso is a little smaller in every release
MOST_MODULES = 65_536


@dataclass(frozen=True, slots=True)
class TlsModule:
    """A module with thread-local storage: its index in the DTV, and the bytes of a block. ``reach`` is how many bytes below the thread
    pointer the block takes in threads that were made after the module was loaded."""

    module: Module
    module_id: int
    size: int
    reach: int = 0


def read_tls_modules(target: Target, r_debug: int | None) -> tuple[TlsModule, ...]:
    """The modules with thread-local storage by id. Without an r_debug the program is static and has one at most."""
    if r_debug is None:
        main = target.modules.main
        segment = find_tls_segment(target.memory, main) if main else None
        return (TlsModule(main, 1, segment.memory_size, static_reach(segment)),) if main and segment else ()
    found = {}
    for entry in read_link_maps(target.memory, r_debug):
        module = target.modules.find(entry.dynamic)
        segment = find_tls_segment(target.memory, module) if module else None
        number = _find_id(target.memory, entry, segment) if segment else None
        if module and segment and number:
            found[number] = TlsModule(module, number, segment.memory_size, static_reach(segment))
    return tuple(found[number] for number in sorted(found))


def _find_id(memory: MemoryReader, entry: LinkMapEntry, segment: Segment) -> int | None:
    """tls_id of the struct dso that begins with this link map: the sixth word from the template's address, which is unmistakable."""
    try:
        words = struct.unpack(f"<{_OBJECT_BYTES // 8}Q", memory.read(entry.node, _OBJECT_BYTES))
    except MemoryUnreadable:
        return None
    image = (entry.bias + segment.address) % ADDRESS_LIMIT
    for index in range(len(words) - 5):  # struct tls_module: next, image, len, size, align, offset; then tls_id
        if words[index] == image and words[index + 1] == segment.file_size and 0 < words[index + 5] <= MOST_MODULES:
            return int(words[index + 5])
    return None


def read_tls_blocks(
    memory: MemoryReader, modules: tuple[TlsModule, ...], dtv: int, tid: int
) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
    """Each module's block of one thread."""
    count = find_word(memory, dtv)
    if count is None:
        return (), (Gap("tls_blocks", f"its DTV at {dtv:#x} cannot be read.", tid),) if modules else ()
    blocks = []
    for item in modules:
        low = find_word(memory, dtv + 8 * item.module_id) if item.module_id <= count else None
        there = AddressRange(low, low + item.size) if low and low <= ADDRESS_LIMIT - item.size else None
        blocks.append(TlsBlock(item.module.path or item.module.name, item.module_id, there, Source.DESCRIPTOR))
    return tuple(blocks), ()
