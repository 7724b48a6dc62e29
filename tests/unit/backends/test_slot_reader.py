"""Slots that are rewritten while they are read, by a writer that takes its turns between the reader's reads."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from tinspect.backends import slot_reader
from tinspect.model.address import AddressRange
from tinspect.target.plan import SlotGroup, SlotTable

BASE, HEAD, STRIDE, COUNT = 0x10000, 64, 32, 4
EPOCH = BASE + 48
TABLE = SlotTable(BASE + HEAD, STRIDE, COUNT)
GROUP = SlotGroup(AddressRange.sized(BASE, HEAD), EPOCH, (TABLE,))
Turn = Callable[[bytearray, int], None]


def read(turn: Turn) -> tuple[int, list[tuple[int, int, int]]]:
    """The epoch, and each slot's sequence and first and last word of its body, as they were read. ``turn`` runs before the n-th read."""
    memory = bytearray(HEAD + STRIDE * COUNT)
    struct.pack_into("<Q", memory, EPOCH - BASE, 6)
    for index in range(COUNT):
        write(memory, index, 10)
    reads = 0

    def read_ranges(ranges: Sequence[tuple[int, int]]) -> list[bytes | None]:
        nonlocal reads
        found: list[bytes | None] = []
        for address, size in ranges:
            turn(memory, reads)
            reads += 1
            found.append(bytes(memory[address - BASE : address - BASE + size]))
        return found

    parts = dict(slot_reader.read_slots([GROUP], read_ranges))
    slots = parts[TABLE.address]
    assert len(slots) == STRIDE * COUNT
    told = [struct.unpack_from("<I12xQQ", slots, STRIDE * index) for index in range(COUNT)]
    (epoch,) = struct.unpack_from("<Q", parts[BASE], EPOCH - BASE)
    return epoch, told


def write(memory: bytearray, index: int, value: int, sequence: int | None = None) -> None:
    """A whole write: the sequence is the value, which stands twice in the body."""
    struct.pack_into("<I12xQQ", memory, HEAD + STRIDE * index, value if sequence is None else sequence, value, value)


def test_what_rests_is_taken_as_it_is() -> None:
    assert read(lambda _memory, _count: None) == (6, [(10, 10, 10)] * COUNT)


def test_a_record_rewritten_during_the_copy_is_read_again() -> None:
    def turn(memory: bytearray, count: int) -> None:
        if count == 3:  # between the bodies and the second look at the sequences
            write(memory, 2, 20)

    assert read(turn) == (6, [(10, 10, 10), (10, 10, 10), (20, 20, 20), (10, 10, 10)])


def test_a_record_half_written_is_read_when_it_is_whole() -> None:
    def turn(memory: bytearray, count: int) -> None:
        if count == 0:
            struct.pack_into("<I12xQQ", memory, HEAD, 11, 12, 10)
        if count == 10:
            write(memory, 0, 12)

    assert read(turn) == (6, [(12, 12, 12)] + [(10, 10, 10)] * 3)


def test_one_that_never_rests_is_torn_and_the_others_are_not() -> None:
    def turn(memory: bytearray, count: int) -> None:
        write(memory, 1, 10 + 2 * count)  # whole each time, but never the same twice

    _, told = read(turn)
    assert told[1][0] % 2 == 1
    assert [told[0], *told[2:]] == [(10, 10, 10)] * 3


def test_one_left_half_written_is_torn() -> None:
    _, told = read(lambda memory, _count: write(memory, 3, 10, sequence=11))
    assert told[3][0] == 11


def test_records_given_out_meanwhile_show_in_the_epoch() -> None:
    def turn(memory: bytearray, count: int) -> None:
        if count == 2:
            struct.pack_into("<Q", memory, EPOCH - BASE, 8)

    assert read(turn) == (7, [(10, 10, 10)] * COUNT)


def test_many_that_never_rest_hold_nobody_up() -> None:
    table = SlotTable(BASE + HEAD, 16, 1 << 17)
    reads = 0

    def read_ranges(ranges: Sequence[tuple[int, int]]) -> list[bytes | None]:
        nonlocal reads
        reads += len(ranges)
        return [b"\1" * size for _, size in ranges]

    group = SlotGroup(AddressRange.sized(BASE, HEAD), EPOCH, (table,))
    parts = dict(slot_reader.read_slots([group], read_ranges))
    assert parts[table.address] == b"\1" * table.range.size
    assert reads < 10


def test_what_cannot_be_read_is_left_out() -> None:
    assert list(slot_reader.read_slots([GROUP], lambda ranges: [None] * len(ranges))) == []
