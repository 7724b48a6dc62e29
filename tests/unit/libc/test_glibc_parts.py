"""Parts of glibc's house on made-up memory: damage must end in None or a gap, never in a loop or a wrong fact."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from tests.support.made_up_process import NoFiles
from tinspect.arch.aarch64 import AARCH64
from tinspect.arch.x86_64 import X86_64
from tinspect.libc.disassembly import MemoryAccess, memory_accesses
from tinspect.libc.glibc.exit_destructors import demangle, list_place_in, read_exit_destructors
from tinspect.libc.glibc.keys import KEYS_MAX, KeyTable, read_keys, read_slots
from tinspect.libc.glibc.layout import StackFields, parse_descriptor
from tinspect.libc.glibc.learn import X86_64_TABLE
from tinspect.libc.glibc.lists import read_descriptors, walk_list
from tinspect.libc.glibc.stack_fields import stack_fields_in
from tinspect.libc.glibc.tls import TlsModule, read_tls_blocks
from tinspect.libc.main_stack import glibc_main_stack, musl_main_stack, told_page_size
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import Module, ModuleTable
from tinspect.model.tls import TlsKey
from tinspect.target.memory import SegmentMemory
from tinspect.target.target import ProcessFacts, Snapshot, TargetKind

BASE = 0x7F00_0000_0000
CODE = Mapping(AddressRange(0x40_0000, 0x50_0000), "r-xp", name="/bin/program", inode=1)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def descriptor_bytes(address: int, **fields: int) -> bytes:
    data = bytearray(X86_64_TABLE.highest)
    stack = X86_64_TABLE.stack
    places = {
        "block": stack.block,
        "size": stack.block_size,
        "guard": stack.guard_size,
        "next": X86_64_TABLE.links,
        "previous": X86_64_TABLE.links + 8,
    }
    struct.pack_into("<Q", data, 0, address)
    struct.pack_into("<Q", data, 16, address)
    struct.pack_into("<i", data, X86_64_TABLE.tid, fields.pop("tid", 7))
    for name, value in fields.items():
        struct.pack_into("<Q", data, places[name], value)
    return bytes(data)


@pytest.mark.parametrize(
    ("fields", "sound"),
    [
        ({"block": BASE - 0x10000, "size": 0x20000, "guard": 0x1000}, True),
        ({"block": BASE - 0x10000, "size": 0x10000}, False),  # the descriptor lies past the end
        ({"block": BASE + 0x10, "size": 0x10000}, False),  # or before the start
        ({"block": BASE - 0x10000, "size": 0x20000, "guard": 0x10000}, False),  # or in the guard
        ({"block": BASE - 0x10000, "size": ADDRESS_LIMIT - 1}, False),
        ({"size": 0x7FFF_0000_0000}, True),  # the initial thread: no block, and __libc_stack_end for a size
        ({"size": 0}, False),
        ({"size": 0x7FFF_0000_0000, "guard": 0x1000}, False),
    ],
)
def test_a_descriptor_proves_itself(fields: dict[str, int], sound: bool) -> None:
    assert parse_descriptor(X86_64_TABLE, BASE, descriptor_bytes(BASE, **fields)).is_sound is sound


def test_a_descriptor_that_names_another_is_not_sound() -> None:
    data = descriptor_bytes(BASE + 8, block=BASE - 0x10000, size=0x20000)
    assert not parse_descriptor(X86_64_TABLE, BASE, data).is_sound


def test_lists_that_loop_break_or_lead_nowhere_end() -> None:
    loop = SegmentMemory([(BASE, words(BASE + 16, 0, BASE + 32, 0, BASE + 16, 0))])
    assert list(walk_list(loop, BASE)) == [BASE + 16, BASE + 32]
    assert list(walk_list(SegmentMemory([(BASE, words(BASE, BASE))]), BASE)) == []
    assert list(walk_list(SegmentMemory([(BASE, words(ADDRESS_LIMIT - 8))]), BASE)) == [ADDRESS_LIMIT - 8]
    assert list(walk_list(SegmentMemory([]), BASE)) == []
    assert list(read_descriptors(SegmentMemory([(BASE, words(16))]), X86_64_TABLE, BASE)) == []


def test_random_memory_never_hurts() -> None:
    source = random.Random(4)
    mappings = MappingTable([CODE])
    for _ in range(200):
        data = bytearray(source.randbytes(8192))
        for offset in range(0, len(data), 8):
            if source.random() < 0.5:  # pointers into the memory itself make lists and chains
                struct.pack_into("<Q", data, offset, BASE + source.randrange(len(data)))
        memory = SegmentMemory([(BASE, bytes(data))])
        for _descriptor in read_descriptors(memory, X86_64_TABLE, BASE):
            pass
        found, gaps = read_exit_destructors(memory, mappings, -64, BASE + 4096, 1)
        assert all(entry.function in CODE.range for entry in found)
        assert len(gaps) <= 1
        read_slots(memory, X86_64_TABLE, {1: TlsKey(1, 1, 0)}, BASE, 1)


def test_keys_are_in_use_when_their_sequence_is_odd() -> None:
    table = KeyTable(BASE)
    entries = bytearray(table.size)
    struct.pack_into("<QQ", entries, 16 * 3, 5, 0x40_1000)
    struct.pack_into("<QQ", entries, 16 * 4, 6, 0x40_2000)
    struct.pack_into("<QQ", entries, 16 * (KEYS_MAX - 1), 1, 0)
    keys, gaps = read_keys(SegmentMemory([(BASE, bytes(entries))]), table)
    assert keys == (TlsKey(3, 5, 0x40_1000), TlsKey(KEYS_MAX - 1, 1, 0))
    assert gaps == ()


def test_values_behind_the_end_of_what_was_captured_are_a_gap() -> None:
    memory = SegmentMemory([(BASE, bytes(X86_64_TABLE.specific + 8))])
    slots, gaps = read_slots(memory, X86_64_TABLE, {1: TlsKey(1, 1, 0)}, BASE, 7)
    assert slots == ()
    assert [(gap.what, gap.tid) for gap in gaps] == [("tls_values", 7)]


def test_a_key_table_that_was_not_captured_is_a_gap() -> None:
    keys, gaps = read_keys(SegmentMemory([]), KeyTable(BASE))
    assert keys == ()
    assert [gap.what for gap in gaps] == ["tls_keys"]


def test_slots_of_both_levels_and_a_block_that_is_missing() -> None:
    descriptor = bytearray(X86_64_TABLE.highest)
    first, second = BASE + 784, BASE + 0x2000
    struct.pack_into("<3Q", descriptor, X86_64_TABLE.specific, first, second, 0x1234)
    struct.pack_into("<QQ", descriptor, 784 + 16 * 2, 3, 0xAA)  # key 2, current
    struct.pack_into("<QQ", descriptor, 784 + 16 * 5, 1, 0xBB)  # key 5, of a key deleted since
    struct.pack_into("<QQ", descriptor, 784 + 16 * 6, 1, 0)  # key 6, null
    block = bytearray(512)
    struct.pack_into("<QQ", block, 16 * 1, 9, 0xCC)  # key 33
    memory = SegmentMemory([(BASE, bytes(descriptor)), (second, bytes(block))])
    keys = {2: TlsKey(2, 3, 0), 5: TlsKey(5, 3, 0), 6: TlsKey(6, 1, 0), 33: TlsKey(33, 9, 0)}
    slots, gaps = read_slots(memory, X86_64_TABLE, keys, BASE, 7)
    assert [(slot.key, slot.value) for slot in slots] == [(2, 0xAA), (33, 0xCC)]
    assert [(gap.what, gap.tid) for gap in gaps] == [("tls_values", 7)]


@pytest.mark.parametrize(
    ("limit", "low"),
    [
        (8 << 20, 0x7FFF_0000_3000 - (8 << 20)),
        (-1, 0x7F00_0000_0000),  # unlimited: down to the mapping below
        (0x10_0000_0000_0000, 0x7F00_0000_0000),
        ((1 << 20) + 123, 0x7FFF_0000_3000 - (1 << 20)),
    ],
)
def test_the_main_stack_of_glibc(limit: int, low: int) -> None:
    below = Mapping(AddressRange(0x7EFF_FFFF_0000, 0x7F00_0000_0000), "rw-p")
    stack = Mapping(AddressRange(0x7FFE_FFF0_0000, 0x7FFF_0000_3000), "rw-p", name="[stack]")
    found = glibc_main_stack(MappingTable([below, stack]), 0x7FFF_0000_2D50, limit, 4096)
    assert found == AddressRange(low, 0x7FFF_0000_3000)


@pytest.mark.parametrize(
    ("told", "size"), [(4096, 4096), (65536, 65536), (None, 4096), (0, 4096), (3, 4096), (1 << 63, 4096)]
)
def test_a_page_size_that_cannot_be_is_not_believed(told: int | None, size: int) -> None:
    vector = {} if told is None else {6: told}
    snapshot = Snapshot(
        TargetKind.CORE, AARCH64, ProcessFacts(1, "x", vector), SegmentMemory([]), MappingTable([]), ModuleTable([]),
        NoFiles(), (),
    )  # fmt: skip
    assert told_page_size(snapshot) == size


def test_arguments_above_the_main_stack_count_against_its_limit() -> None:
    stack = Mapping(AddressRange(0x7FFE_FFF0_0000, 0x7FFF_0001_0000), "rw-p", name="[stack]")
    found = glibc_main_stack(MappingTable([stack]), 0x7FFF_0000_2D50, 1 << 20, 4096)
    assert found == AddressRange(0x7FFF_0000_3000 - (1 << 20) + 0xD000, 0x7FFF_0000_3000)
    assert glibc_main_stack(MappingTable([stack]), 0x1000, 1 << 20, 4096) is None


def test_the_main_stack_of_musl_reaches_down_to_the_first_hole() -> None:
    maps = [(0x1000, 0x2000), (0x5000, 0x6000), (0x6000, 0x9000)]
    table = MappingTable([Mapping(AddressRange(*entry), "rw-p") for entry in maps])
    assert musl_main_stack(table, 0x8123, 4096) == AddressRange(0x5000, 0x9000)
    assert musl_main_stack(table, 0x3123, 4096) is None


def test_stack_fields_in_the_code_of_glibc_2_43() -> None:
    # mov rax,[r13+0x6a8]; mov [r14+0x10],rax; mov rax,[r13+0x690]; mov rdx,[r13+0x698]; sub rdx,[r13+0x6a0]
    code = bytes.fromhex("498b85a806000049894610498b8590060000498b9598060000492b95a0060000")
    assert stack_fields_in(memory_accesses(X86_64, code, 0x1000)) == StackFields.consecutive(0x690)
    assert stack_fields_in(memory_accesses(X86_64, code[:-7], 0x1000)) is None


def test_stack_fields_in_the_code_of_aarch64() -> None:
    # ldr x3,[x19,#1192]; str x3,[x20,#16]; ldr x1,[x19,#1168]; ldr x2,[x19,#1176]; ldr x3,[x19,#1184] (glibc 2.36)
    code = struct.pack("<5I", 0xF9425663, 0xF9000A83, 0xF9424A61, 0xF9424E62, 0xF9425263)
    assert stack_fields_in(memory_accesses(AARCH64, code, 0x1000)) == StackFields.consecutive(0x490)
    assert stack_fields_in(memory_accesses(AARCH64, code[:-4], 0x1000)) is None
    saved = struct.pack("<2I", 0xA95153F3, 0xA9525BF5)  # ldp x19,x20,[sp,#272]; ldp x21,x22,[sp,#288]: its own frame
    found = list(memory_accesses(AARCH64, saved, 0x1000))
    assert [(entry.base, entry.displacement, entry.size, entry.written) for entry in found] == [
        ("sp", 272, 8, "x19"), ("sp", 280, 8, "x20"), ("sp", 288, 8, "x21"), ("sp", 296, 8, "x22"),
    ]  # fmt: skip
    assert stack_fields_in(found) is None


def access(**fields: Any) -> MemoryAccess:
    base: dict[str, Any] = {
        "address": 0x1000,
        "next_address": 0x1007,
        "mnemonic": "mov",
        "segment": "",
        "base": "",
        "index": "",
        "displacement": 0,
        "size": 8,
        "written": "",
    }
    return MemoryAccess(**{**base, **fields})


def test_the_exit_list_of_a_shared_and_of_a_static_libc() -> None:
    memory = SegmentMemory([(0x2000, words(ADDRESS_LIMIT - 264))])
    shared = [
        access(base="rip", displacement=0x2000 - 0x1007, written="rbp"),
        access(segment="fs", base="rbp", written="rbx"),
    ]
    place = list_place_in(shared, memory)
    assert place is not None
    assert (place.slot, place.offset(memory)) == (0x2000, -264)
    place = list_place_in([access(segment="fs", displacement=-8, written="rbx")], memory)
    assert place is not None
    assert (place.slot, place.offset(memory)) == (None, -8)
    # The stack protector and the pointer guard lie above the thread pointer: they are no such list.
    assert list_place_in([access(segment="fs", displacement=0x28)], memory) is None


def test_mangled_pointers() -> None:
    guard, function = 0x1234_5678_9ABC_DEF0, 0x7F12_3456_7890
    mixed = function ^ guard
    mangled = (mixed << 17 | mixed >> 47) % ADDRESS_LIMIT
    assert demangle(mangled, guard) == function


def test_a_dtv_older_than_the_module_has_no_block() -> None:
    module = Module("late.so", "/late.so", 0, AddressRange(0x1000, 0x2000))
    item = TlsModule(module, 2, 64, None, generation=5)
    for generation, entry, expected in (
        (5, 0x9000, AddressRange(0x9000, 0x9040)),
        (4, 0x9000, None),
        (5, ADDRESS_LIMIT - 1, None),
    ):
        dtv = SegmentMemory([(BASE, words(generation, 0, 0, 0, entry, 0))])
        (block,), gaps = read_tls_blocks(dtv, (item,), thread_pointer=0, dtv=BASE, variant=2, tid=1)
        assert block.range == expected
        assert gaps == ()
    blocks, gaps = read_tls_blocks(SegmentMemory([]), (item,), thread_pointer=0, dtv=BASE, variant=2, tid=1)
    assert blocks == ()
    assert len(gaps) == 1
