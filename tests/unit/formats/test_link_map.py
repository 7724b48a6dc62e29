"""The dynamic linker's lists in made-up memory: every namespace once, and an end at whatever lies."""

from __future__ import annotations

import struct

from tinspect.formats.elf import Segment
from tinspect.formats.elf_constants import DT_DEBUG, PT_DYNAMIC
from tinspect.formats.link_map import find_debug_address, walk_link_map
from tinspect.target.memory import SegmentMemory, read_c_string

BASE = 0x10000
FIRST, SECOND, NODES = BASE, BASE + 0x100, BASE + 0x200


def r_debug(version: int, node: int, following: int = 0) -> bytes:
    return struct.pack("<i4xQ24xQ", version, node, following)


def link_map(bias: int, name: int, following: int) -> bytes:
    return struct.pack("<5Q", bias, name, bias + 8, following, 0)


def memory(*parts: tuple[int, bytes]) -> SegmentMemory:
    return SegmentMemory(parts)


def walked(lists: SegmentMemory) -> list[tuple[int, str, int]]:
    found = walk_link_map(lists.read, lambda at, limit: read_c_string(lists, at, limit), FIRST)
    return [(entry.bias, entry.name, entry.dynamic) for entry in found]


def test_the_objects_of_every_namespace() -> None:
    lists = memory(
        (FIRST, r_debug(2, NODES, SECOND)),
        (SECOND, r_debug(2, NODES + 80)),
        (NODES, link_map(0x1000, 0, NODES + 40) + link_map(0x2000, BASE + 0x400, 0) + link_map(0x3000, 0x666, 0)),
        (BASE + 0x400, b"/lib/one".ljust(64, b"\0")),
    )
    assert walked(lists) == [(0x1000, "", 0x1008), (0x2000, "/lib/one", 0x2008), (0x3000, "", 0x3008)]


def test_before_version_2_there_is_one_namespace() -> None:
    lists = memory(
        (FIRST, r_debug(1, NODES, SECOND)), (SECOND, r_debug(1, NODES + 40)), (NODES, link_map(0x1000, 0, 0) * 2)
    )
    assert walked(lists) == [(0x1000, "", 0x1008)]


def test_circles_and_ends_of_memory_end_the_walk() -> None:
    circle = memory((FIRST, r_debug(2, NODES, FIRST)), (NODES, link_map(0x1000, 0, NODES)))
    assert walked(circle) == [(0x1000, "", 0x1008)]
    cut = memory((FIRST, r_debug(2, NODES, (1 << 64) - 1)), (NODES, link_map(0x1000, 0, (1 << 64) - 8)))
    assert walked(cut) == [(0x1000, "", 0x1008)]
    assert walked(memory()) == []


def test_the_entry_that_leads_there() -> None:
    dynamic = Segment(PT_DYNAMIC, 0, 0, 0x40, 64, 64, 8)
    table = struct.pack("<6Q", 5, 1, DT_DEBUG, FIRST, 0, 0)
    assert find_debug_address(memory((BASE + 0x40, table)).read, [dynamic], BASE) == FIRST
    assert find_debug_address(memory((BASE + 0x40, table[:16] + bytes(32))).read, [dynamic], BASE) is None
    assert find_debug_address(memory((BASE + 0x40, table[:16])).read, [dynamic], BASE) is None
    assert find_debug_address(memory().read, [], BASE) is None
