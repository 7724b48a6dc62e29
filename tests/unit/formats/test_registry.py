"""The runtime's registry from bytes: a sound one made from docs/internals/registry-format.md alone, and every way to damage it."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinspect.analyses.registry import RegistryRecords, read_registries
from tinspect.errors import FormatError
from tinspect.formats import registry as form
from tinspect.formats.registry import Kind
from tinspect.model.gap import Gap
from tinspect.target.memory import SegmentMemory

BASE = 0x7F00_0000_0000
TABLES = 8192
STRIDE = 400
THREAD_FIELDS = (
    (1, 1, 16, 4, "tid"),
    (1, 3, 64, 16, "scope"),
    (1, 1, 200, 4, "name_length"),
    (1, 2, 240, 64, "name"),
)
SCOPE_FIELDS = (
    (2, 3, 32, 16, "owner"),
    (2, 3, 48, 16, "parent"),
    (2, 1, 80, 4, "phase"),
    (2, 1, 112, 4, "name_length"),
    (2, 2, 144, 64, "name"),
)


@dataclass
class Synthetic:
    """A registry as the page describes it: threads 1 … and scopes 1 …, each kind in one arena behind the tables."""

    major: int = 1
    minor: int = 0
    epoch: int = 2
    byte_order: int = 0x01020304
    pointer_size: int = 8
    born: list[int] = field(default_factory=lambda: [0, 3, 2, 0, 0, 0, 0])
    fields: tuple[tuple[int, int, int, int, str], ...] = THREAD_FIELDS + SCOPE_FIELDS
    arenas: list[tuple[int, int, int, int, int]] = field(
        default_factory=lambda: [(1, 0, 4, STRIDE, BASE + TABLES), (2, 0, 4, STRIDE, BASE + TABLES + 4 * STRIDE)]
    )

    def tables(self) -> bytearray:
        data = bytearray(TABLES)
        struct.pack_into(
            "<8sIIHHIIIQQQIIIIIIII", data, 0,
            b"TINSPREG", self.byte_order, self.pointer_size, self.major, self.minor, 144, 77, 0, 11, 22, self.epoch,
            len(self.arenas), 512, 32, 108, len(self.fields), 4096, 40, 7,
        )  # fmt: skip
        struct.pack_into("<7Q", data, 88, *self.born)
        for index, arena in enumerate(self.arenas):
            struct.pack_into("<IIIIQ", data, 512 + 32 * index, *arena)
        for index, (kind, form_, offset, width, name) in enumerate(self.fields):
            struct.pack_into("<HHIII24s", data, 4096 + 40 * index, kind, form_, offset, width, 0, name.encode())
        return data

    def image(self) -> bytearray:
        slots = bytearray(8 * STRIDE)
        for index, (tid, name, scope) in enumerate([(100, "owner", 0), (101, "child", 1), (102, "grand", 2)]):
            self._record(slots, index, index + 1)
            struct.pack_into("<I", slots, index * STRIDE + 16, tid)
            struct.pack_into("<QII", slots, index * STRIDE + 64, scope, scope - 1 if scope else 0, 1)
            struct.pack_into("<I", slots, index * STRIDE + 200, len(name))
            struct.pack_into("<64s", slots, index * STRIDE + 240, name.encode())
        for index, (owner, parent, name) in enumerate([(1, 0, "outer"), (2, 1, "inner")]):
            at = (4 + index) * STRIDE
            self._record(slots, 4 + index, index + 1)
            struct.pack_into("<QII", slots, at + 32, owner, owner - 1, 1)
            struct.pack_into("<QII", slots, at + 48, parent, 0, 1)
            struct.pack_into("<I", slots, at + 80, 2)
            struct.pack_into("<I", slots, at + 112, len(name))
            struct.pack_into("<64s", slots, at + 144, name.encode())
        return self.tables() + slots

    @staticmethod
    def _record(slots: bytearray, index: int, identity: int, sequence: int = 4) -> None:
        struct.pack_into("<IIQ", slots, index * STRIDE, sequence, 1, identity)


def read(image: bytes | bytearray) -> tuple[tuple[RegistryRecords, ...], tuple[Gap, ...]]:
    return read_registries(SegmentMemory([(BASE, bytes(image))]), (BASE,))


def slot(kind: Kind, index: int) -> int:
    """Where a record of the synthetic registry begins in its image."""
    return TABLES + (index + (4 if kind is Kind.SCOPE else 0)) * STRIDE


def words(gaps: tuple[Gap, ...]) -> str:
    return " ".join(gap.why for gap in gaps)


def test_a_sound_one_tells_exactly_its_records() -> None:
    (found,), gaps = read(Synthetic().image())
    assert gaps == ()
    assert [(r.id, r.number("tid"), r.text("name"), r.link("scope")) for r in found.of_kind(Kind.THREAD)] == [
        (1, 100, "owner", 0), (2, 101, "child", 1), (3, 102, "grand", 2),
    ]  # fmt: skip
    assert [(r.id, r.text("name"), r.link("owner"), r.link("parent")) for r in found.of_kind(Kind.SCOPE)] == [
        (1, "outer", 1, 0), (2, "inner", 2, 1),
    ]  # fmt: skip
    assert [r.address for r in found.of_kind(Kind.THREAD)] == [BASE + slot(Kind.THREAD, i) for i in range(3)]
    assert not any(record.torn for record in found.records)


def test_a_newer_minor_adds_what_is_skipped() -> None:
    newer = Synthetic(
        minor=7, fields=(*THREAD_FIELDS, *SCOPE_FIELDS, (1, 9, 300, 40, "novel"), (9, 1, 0, 4, "kind_nine"))
    )
    (found,), gaps = read(newer.image())
    assert (gaps, len(found.records)) == ((), 5)
    assert found.records[0].number("novel") == 0


def test_an_older_runtime_lacks_fields() -> None:
    (found,), gaps = read(Synthetic(fields=THREAD_FIELDS[:1]).image())
    assert gaps == ()
    assert [(r.number("tid"), r.text("name"), r.link("scope")) for r in found.records] == [
        (100, "", 0), (101, "", 0), (102, "", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("major", [0, 2, 65535])
def test_another_major_is_refused_in_words(major: int) -> None:
    found, gaps = read(Synthetic(major=major).image())
    assert found == ()
    assert f"format {major}, and this tinspect reads format 1" in words(gaps)
    with pytest.raises(FormatError, match=f"format {major}"):
        form.parse_anchor(struct.pack("<8sIIQ", b"TINSPANC", 24, major, BASE))


@pytest.mark.parametrize("foreign", [Synthetic(byte_order=0x04030201), Synthetic(pointer_size=4)])
def test_foreign_bytes_are_refused(foreign: Synthetic) -> None:
    found, gaps = read(foreign.image())
    assert found == ()
    assert "byte order or pointer size" in words(gaps)


def test_an_odd_sequence_is_torn_and_named() -> None:
    image = Synthetic().image()
    struct.pack_into("<I", image, slot(Kind.THREAD, 1), 5)
    struct.pack_into("<I", image, slot(Kind.SCOPE, 0), 7)
    (found,), gaps = read(image)
    assert [(r.kind, r.id) for r in found.records if r.torn] == [(Kind.THREAD, 2), (Kind.SCOPE, 1)]
    assert "torn: thread 2, scope 1" in words(gaps)


def test_an_odd_epoch_is_told() -> None:
    assert "giving out a record" in words(read(Synthetic(epoch=3).image())[1])


def test_cut_in_the_slots_or_the_tables_leaves_gaps() -> None:
    image = Synthetic().image()
    (found,), gaps = read(image[: slot(Kind.SCOPE, 1)])
    assert len(found.of_kind(Kind.THREAD)) == 3
    assert not found.of_kind(Kind.SCOPE)
    assert "cannot be read" in words(gaps)
    assert "cannot be read" in words(read(image[:600])[1])
    assert "cannot be read" in words(read(image[:100])[1])


def test_links_that_loop_are_only_numbers() -> None:
    image = Synthetic().image()
    struct.pack_into("<QII", image, slot(Kind.SCOPE, 0) + 48, 2, 1, 1)
    struct.pack_into("<QII", image, slot(Kind.SCOPE, 1) + 48, 1, 0, 1)
    (found,), gaps = read(image)
    assert [r.link("parent") for r in found.of_kind(Kind.SCOPE)] == [2, 1]
    assert gaps == ()


LIES = {
    "an arena of a billion slots": [(1, 0, 1 << 30, STRIDE, BASE + TABLES)],
    "an arena beyond the address space": [(1, 0, 1 << 20, 65536, (1 << 64) - 4096)],
    "an arena of slots smaller than a record's head": [(1, 0, 4, 8, BASE + TABLES)],
    "an arena at address 0": [(1, 0, 4, STRIDE, 0)],
    "slots before the first": [(1, 9, 4, STRIDE, BASE + TABLES)],
    "the same arena twice": [(1, 0, 4, STRIDE, BASE + TABLES), (1, 4, 4, STRIDE, BASE + TABLES)],
    "arenas that overlap": [(1, 0, 4, STRIDE, BASE + TABLES), (2, 0, 4, STRIDE, BASE + TABLES + 8)],
    "gigabytes": [(1, 0, 1 << 20, 4096, BASE + TABLES)],
}


@pytest.mark.parametrize("lie", LIES)
def test_an_arena_that_lies_is_left_out_and_told(lie: str) -> None:
    synthetic = Synthetic(arenas=list(LIES[lie]), born=[1 << 63] * 7)
    found, gaps = read(synthetic.image())
    assert "contradict its format" in words(gaps)
    identities = [(record.kind, record.id) for registry in found for record in registry.records]
    assert len(identities) == len(set(identities))


def test_an_id_that_stands_twice_is_told_once() -> None:
    image = Synthetic().image()
    struct.pack_into("<Q", image, slot(Kind.THREAD, 1) + 8, 1)
    (found,), _ = read(image)
    assert [(r.id, r.number("tid")) for r in found.of_kind(Kind.THREAD)] == [(1, 100), (3, 102)]


def test_fields_that_leave_their_slot_are_unknown() -> None:
    (found,), _ = read(Synthetic(fields=((1, 1, STRIDE - 2, 4, "tid"), (1, 2, 1 << 31, 64, "name"))).image())
    assert {(r.number("tid"), r.text("name")) for r in found.records} == {(0, "")}


def test_a_length_that_lies_cuts_nothing_else() -> None:
    image = Synthetic().image()
    struct.pack_into("<I", image, slot(Kind.THREAD, 0) + 200, 0xFFFF_FFFF)
    struct.pack_into("<64s", image, slot(Kind.THREAD, 0) + 240, b"\xff\xfeowner\x1b" + bytes(56))
    (found,), _ = read(image)
    assert found.records[0].text("name") == "\udcff\udcfeowner\x1b"


@pytest.mark.parametrize("address", [1, (1 << 64) - 8, (1 << 64) - form.HEADER_SIZE])
def test_an_address_that_is_nowhere_is_told(address: int) -> None:
    found, gaps = read_registries(SegmentMemory([(BASE, b"")]), (address,))
    assert (found, "cannot be read" in words(gaps)) == ((), True)


def test_no_fields_is_damage() -> None:
    assert "does not say what its records look like" in words(read(Synthetic(fields=()).image())[1])


patches = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 160), st.integers(512, 600), st.integers(4096, 4500), st.integers(TABLES, TABLES + 8 * STRIDE - 8)),
        st.one_of(st.sampled_from([0, 1, 0xFF, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1]), st.integers(0, (1 << 64) - 1)),
        st.sampled_from([1, 2, 4, 8]),
    ),
    max_size=12,
)  # fmt: skip


@given(patches, st.one_of(st.none(), st.integers(0, TABLES + 8 * STRIDE)))
@settings(max_examples=400, deadline=None)
def test_damage_gives_records_or_gaps_and_never_more_than_there_is(
    damage: list[tuple[int, int, int]], cut: int | None
) -> None:
    image = Synthetic().image()
    for offset, value, width in damage:
        image[offset : offset + width] = value.to_bytes(8, "little")[:width]
    start = time.process_time()
    found, gaps = read(bytes(image[:cut]))
    assert time.process_time() - start < 5
    assert all(gap.why for gap in gaps)
    assert found or gaps
    for registry in found:
        assert len({(r.kind, r.id) for r in registry.records}) == len(registry.records)
        for record in registry.records:
            assert BASE <= record.address <= BASE + len(image) - len(record.data)
            assert all(
                record.number(name) < 1 << 64 and len(record.text(name)) <= len(record.data) for name in record.layout
            )


@given(st.binary(max_size=600))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for parse in (form.parse_anchor, form.parse_header):
        with suppress(FormatError):
            parse(data)
