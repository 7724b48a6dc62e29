"""Cores written by the writer, read by the parsers and by readelf; and hostile ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.formats.core_headers import pack_note
from tinspect.formats.core_segments import sound_segments
from tinspect.formats.core_writer import OutputSegment, core_pieces
from tinspect.formats.elf import ElfImage, Segment, parse_notes
from tinspect.formats.elf_constants import ET_CORE, PF_R, PF_W, PT_LOAD
from tinspect.model.address import AddressRange

BASE = 0x7F0000000000


def written(segments: list[OutputSegment], notes: bytes = b"") -> bytes:
    return b"".join(core_pieces(62, notes, segments, lambda address, size: bytes([address >> 12 & 255]) * size))


@pytest.mark.parametrize("count", [1, 65533, 65534, 65535, 100_000])
def test_any_number_of_segments_comes_back(count: int, tmp_path: Path) -> None:
    segments = [OutputSegment(BASE + index * 8192, 4096, PF_R, False) for index in range(count)]
    data = written(segments, pack_note(b"CORE", 1, b"x"))
    image = ElfImage(data)
    assert image.header.file_type == ET_CORE
    assert len(image.segments) == count + 1
    table = sound_segments(image.segments, len(data))
    assert [(s.range.low, s.range.size, s.stored) for s in table.segments] == [(s.address, 4096, 0) for s in segments]
    assert table.problems == ()
    path = tmp_path / "core"
    path.write_bytes(data)
    said = subprocess.run(["readelf", "-hW", str(path)], capture_output=True, text=True, check=True)
    assert f"{count + 1}" in said.stdout.split("Number of program headers:")[1].split("\n")[0]
    assert said.stderr == ""


def test_stored_bytes_lie_where_the_headers_say_at_congruent_offsets() -> None:
    segments = [
        OutputSegment(BASE + 24, 4096 * 3, PF_R | PF_W, True),
        OutputSegment(BASE + 0x10000, 4096, PF_R, False),
        OutputSegment(BASE + 0x20008, 3 << 20, PF_R, True),
    ]
    data = written(segments)
    table = sound_segments(ElfImage(data).segments, len(data))
    assert table.missing == 0
    for segment, found in zip(segments, table.segments, strict=True):
        assert found.range == AddressRange.sized(segment.address, segment.size)
        assert found.stored == (segment.size if segment.stored else 0)
        if segment.stored:
            assert (found.offset - segment.address) % 4096 == 0
            assert data[found.offset] == segment.address >> 12 & 255
    assert table.segments[0].permissions == "rw-p"


def load(address: int, size: int, offset: int = 0, stored: int | None = None) -> Segment:
    return Segment(PT_LOAD, PF_R, offset, address, size if stored is None else stored, size, 4096)


def test_overlapping_wrapping_and_lying_segments_are_made_sound() -> None:
    table = sound_segments(
        [
            load(0x1000, 0x2000, 0x100),
            load(0x2000, 0x2000, 0x5000),
            load(0x1800, 0x100, 0x9000),
            load((1 << 64) - 0x1000, 0x2000),
            load(0x10000, 0x1000, 1 << 60),
            load(0x20000, 1 << 62, 0x10, 1 << 62),
        ],
        0x6000,
    )
    found = [(s.range.low, s.range.high, s.offset, s.stored) for s in table.segments]
    assert found == [
        (0x1000, 0x3000, 0x100, 0x2000),
        (0x3000, 0x4000, 0x6000, 0),
        (0x10000, 0x11000, 1 << 60, 0),
        (0x20000, 0x20000 + (1 << 62), 0x10, 0x5FF0),
    ]
    assert len(table.problems) == 2
    assert "overlap" in table.problems[1]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)
        )
    )
)
def test_segments_are_always_sorted_disjoint_and_within_the_file(entries: list[tuple[int, int, int, int]]) -> None:
    headers = [Segment(PT_LOAD, 7, offset, address, stored, size, 0) for address, size, offset, stored in entries]
    table = sound_segments(headers, 1 << 20)
    end = 0
    for segment in table.segments:
        assert end <= segment.range.low < segment.range.high
        assert segment.stored <= segment.range.size
        assert segment.stored == 0 or segment.offset + segment.stored <= 1 << 20
        end = segment.range.high


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=20).filter(lambda n: b"\0" not in n),
            st.integers(0, 2**32 - 1),
            st.binary(max_size=50),
        )
    )
)
def test_notes_come_back(notes: list[tuple[bytes, int, bytes]]) -> None:
    data = b"".join(pack_note(*note) for note in notes)
    assert [
        (note.owner.encode("latin-1"), note.type, bytes(note.data)) for note in parse_notes(memoryview(data))
    ] == notes


@given(st.binary(max_size=200))
def test_no_bytes_make_notes_loop_or_fail(data: bytes) -> None:
    assert sum(len(note.data) for note in parse_notes(memoryview(data))) <= len(data)
