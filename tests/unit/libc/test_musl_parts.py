"""Parts of musl's house on made-up memory."""

from __future__ import annotations

import random
import struct

import pytest

from tinspect.arch.x86_64 import X86_64
from tinspect.libc.disassembly import memory_accesses
from tinspect.libc.musl.keys import KeyTable, key_table_in, read_keys, read_slots
from tinspect.libc.musl.layout import LAYOUTS, find_descriptor, walk_circle
from tinspect.libc.self_pointers import find_self_pointers
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.tls import TlsKey, TlsSlot
from tinspect.target.memory import SegmentMemory

LAYOUT = LAYOUTS["x86_64"][0]
BASE = 0x7F00_0000_0000


def descriptor(address: int, **fields: int) -> bytes:
    data = bytearray(LAYOUT.size)
    struct.pack_into("<4Q", data, 0, address, 0, fields.get("previous", address), fields.get("following", address))
    struct.pack_into("<i", data, LAYOUT.tid, fields.get("tid", 9))
    names = ("map_base", "map_size", "stack", "stack_size", "guard")
    struct.pack_into("<5Q", data, LAYOUT.map_base, *(fields.get(name, 0) for name in names))
    return bytes(data)


@pytest.mark.parametrize(
    ("fields", "sound"),
    [
        ({}, True),  # the initial thread
        ({"guard": 4096}, False),
        ({"map_base": BASE - 0x10000, "map_size": 0x11000, "stack": BASE - 64, "stack_size": 0xF000 - 64, "guard": 0x1000}, True),
        ({"map_base": BASE - 0x10000, "map_size": 0x11000, "stack": BASE - 64, "stack_size": 0xF000, "guard": 0x1000}, False),
        ({"map_base": BASE + 0x1000, "map_size": 0x1000, "stack": BASE - 64, "stack_size": 0xF000}, False),
        ({"stack": BASE - 64, "stack_size": 0x8000}, True),  # all of it in the user's memory
        ({"tid": 0}, False),
    ],
)  # fmt: skip
def test_a_descriptor_proves_itself(fields: dict[str, int], sound: bool) -> None:
    found = find_descriptor(SegmentMemory([(BASE, descriptor(BASE, **fields))]), LAYOUT, BASE)
    assert found is not None
    assert found.is_sound is sound


def test_a_circle_that_does_not_link_back_ends() -> None:
    other = BASE + 0x1000
    good = SegmentMemory(
        [
            (BASE, descriptor(BASE, previous=other, following=other)),
            (other, descriptor(other, previous=BASE, following=BASE)),
        ]
    )
    assert [found.address for found in walk_circle(good, LAYOUT, BASE)] == [BASE, other]
    torn = SegmentMemory(
        [(BASE, descriptor(BASE, following=other)), (other, descriptor(other, previous=1, following=BASE))]
    )
    assert [found.address for found in walk_circle(torn, LAYOUT, BASE)] == [BASE]
    assert find_descriptor(SegmentMemory([]), LAYOUT, BASE) is None


def test_random_memory_never_hurts() -> None:
    source = random.Random(5)
    for _ in range(200):
        data = bytearray(source.randbytes(4096))
        for offset in range(0, len(data), 8):
            if source.random() < 0.7:
                struct.pack_into("<Q", data, offset, BASE + source.randrange(len(data)) // 8 * 8)
        memory = SegmentMemory([(BASE, bytes(data))])
        for start in range(0, 4096, 512):
            assert len(list(walk_circle(memory, LAYOUT, BASE + start))) <= 512


def test_self_pointers() -> None:
    data = bytearray(64)
    struct.pack_into("<Q", data, 24, BASE + 24)
    memory = SegmentMemory([(BASE, bytes(data))])
    assert list(
        find_self_pointers(memory, [AddressRange(BASE - 4096, BASE - 8), AddressRange(BASE + 1, BASE + 64)], 8192)
    ) == [BASE + 24]
    assert list(find_self_pointers(memory, [AddressRange(BASE, BASE + 64)], 16)) == []


def test_the_key_table_in_the_code_of_musl_1_2_6() -> None:
    # lea rax,[rip-0x100]; lea rdi,[rip+0x80000]; lea rcx,[rip+0x80020]; cmp qword ptr [rcx+rdx*8],0; mov [rcx+rdx*8],rbx
    code = bytes.fromhex("488d0500ffffff488d3d00000800488d0d2000080048833cd10048891cd1")
    maps = MappingTable(
        [
            Mapping(AddressRange(0, 0x8000), "r-xp", name="musl"),
            Mapping(AddressRange(0x80000, 0x90000), "rw-p", name="musl"),
        ]
    )
    found = key_table_in(memory_accesses(X86_64, code, 0x1000), maps)
    assert found == KeyTable(0x1015 + 0x80020, 0x1007 - 0x100)
    # A table that cannot be written is none.
    assert key_table_in(memory_accesses(X86_64, code, 0x1000), MappingTable([])) is None


def test_keys_and_values() -> None:
    entries = bytearray(128 * 8)
    struct.pack_into("<2Q", entries, 16, 0x40_1000, 0x40_2000)
    values = bytearray(128 * 8)
    struct.pack_into("<3Q", values, 16, 0xAA, 0, 0xCC)
    memory = SegmentMemory([(BASE, bytes(entries)), (BASE + 0x1000, bytes(values))])
    keys, gaps = read_keys(memory, KeyTable(BASE, 0x40_1000))
    assert keys == (TlsKey(2, None, 0), TlsKey(3, None, 0x40_2000))
    assert gaps == ()
    assert read_slots(memory, BASE + 0x1000, [2, 3], 5) == ((TlsSlot(2, 0xAA),), ())
    assert read_slots(memory, 0, [2, 3], 5) == ((), ())
    slots, missing = read_slots(memory, 0x1234, [2, 3], 5)
    assert slots == ()
    assert [gap.what for gap in missing] == ["tls_values"]
