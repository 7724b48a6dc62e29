"""Rows of malloc's chunks, and heaps of arenas, well made and damaged. Real ones: tests/integration/test_refs_whatis.py."""

from __future__ import annotations

import struct

import pytest

from tinspect.analyses.heap_chunks import find_arena_heap, find_chunk
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.target.memory import SegmentMemory

HEAP = 0x7F0000000000
SIZE = 0x21000


def chunks(*sizes: int) -> bytes:
    """A row of chunks, each in use, as malloc lays them out."""
    return b"".join(bytes(8) + (size | 1).to_bytes(8, "little") + bytes(size - 16) for size in sizes)


def test_heaps_that_make_no_sense_have_no_chunks() -> None:
    heap = AddressRange(0x10000, 0x11000)
    for data in (bytes(0x1000), b"\xff" * 0x1000, chunks(0x40, 0x40).ljust(0x1000, b"\0")):
        assert find_chunk(SegmentMemory([(heap.low, data)]), heap, 0x10800) is None
    assert find_chunk(SegmentMemory([]), heap, 0x10800) is None


def test_a_row_of_chunks_that_begins_behind_other_data() -> None:
    heap = AddressRange(0x10000, 0x11000)
    data = bytes(0x100) + chunks(0x40, 0x80, 0xE40)
    found = find_chunk(SegmentMemory([(heap.low, data)]), heap, 0x10160)
    assert found is not None
    assert found.range == AddressRange(0x10150, 0x101C8)
    assert found.in_use


def arena_heap(*heap_info: int, permissions: str = "rw-p", mapped: int = SIZE) -> AddressRange | None:
    mappings = MappingTable([Mapping(AddressRange.sized(HEAP, mapped), permissions, 0, "", 0)])
    memory = SegmentMemory([(HEAP, struct.pack("<4Q", *heap_info))])
    return find_arena_heap(memory, mappings, HEAP + 0x1000)


@pytest.mark.parametrize(
    ("arena", "previous"), [(HEAP + 0x20, 0), (HEAP + 0x30, 0), (HEAP - (64 << 20) + 0x30, HEAP - (64 << 20))]
)
def test_a_heap_of_an_arena_says_what_fits_its_mapping(arena: int, previous: int) -> None:
    assert arena_heap(arena, previous, SIZE, SIZE) == AddressRange(HEAP + 0x20, HEAP + SIZE)


@pytest.mark.parametrize(
    "heap_info",
    [
        (0, 0, SIZE, SIZE),
        (HEAP + 0x2000, 0, SIZE, SIZE),  # its arena is not where a first heap has it
        (HEAP + 0x20, HEAP - (64 << 20), SIZE, SIZE),  # a first heap that has one before it
        (HEAP - 0x1000, 0, SIZE, SIZE),  # a later heap that has none
        (HEAP - 0x1000, HEAP - 0x1000, SIZE, SIZE),  # the one before it is not aligned
        (HEAP + 0x20, 0, SIZE + 8, SIZE + 8),
        (HEAP + 0x20, 0, SIZE, SIZE - 0x1000),
        (HEAP + 0x20, 0, SIZE, SIZE + 0x1000),  # more than is mapped
        (HEAP + 0x20, 0, 0x1000, 0x1000),  # the address lies beyond its end
        (2**64 - 1,) * 4,
    ],
)
def test_what_only_looks_like_a_heap_is_none(heap_info: tuple[int, ...]) -> None:
    assert arena_heap(*heap_info) is None


def test_a_heap_is_writable_and_its_start_can_be_read() -> None:
    assert arena_heap(HEAP + 0x20, 0, SIZE, SIZE, permissions="r--p") is None
    mappings = MappingTable([Mapping(AddressRange.sized(HEAP, SIZE), "rw-p", 0, "", 0)])
    assert find_arena_heap(SegmentMemory([]), mappings, HEAP + 0x1000) is None
