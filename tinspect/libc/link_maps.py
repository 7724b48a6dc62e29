"""The dynamic linker's lists of loaded objects, as the libcs' structures hang on them."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.formats.link_map import LinkMapEntry, find_debug_address, walk_link_map
from tinspect.libc.segments import read_segments
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader


def find_r_debug(memory: MemoryReader, executable: Module) -> int | None:
    """The address in the executable's DT_DEBUG entry, which the dynamic linker fills in; None when there is none."""
    return find_debug_address(memory.read, read_segments(memory, executable), executable.load_bias)


def read_link_maps(memory: MemoryReader, r_debug: int) -> Iterator[LinkMapEntry]:
    """Every object of every namespace, without its name. Ends early at damage."""
    return walk_link_map(memory.read, None, r_debug)
