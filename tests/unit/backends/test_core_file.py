"""Mapped files, parts of memory, and cores of machines we do not have, put together by the writer."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinspect.arch.aarch64 import AARCH64
from tinspect.backends.core import open_core
from tinspect.backends.core_file import map_stream, open_mapped
from tinspect.backends.core_memory import Part, PartedMemory
from tinspect.backends.sparse_file import end_sparse, write_sparse
from tinspect.errors import FormatError, MemoryUnreadable, TargetNotFound, TargetRefused, UnsupportedTarget
from tinspect.formats.auxv import pack_auxv
from tinspect.formats.core_headers import pack_note
from tinspect.formats.core_notes import NoteType, ProcessNote, ThreadNote, pack_prpsinfo, pack_prstatus
from tinspect.formats.core_writer import OutputSegment, core_pieces
from tinspect.model.address import AddressRange

HOLE = 1 << 20


def test_holes_read_as_zeros_and_data_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.write(b"a" * 5000)
        stream.seek(3 * HOLE)
        stream.write(b"b" * 5000)
        stream.truncate(5 * HOLE)
    file = open_mapped(path)
    whole = path.read_bytes()
    for offset, size in ((0, 5 * HOLE), (100, 10), (4000, HOLE), (2 * HOLE, HOLE + 6000), (4 * HOLE, HOLE)):
        assert file.read(offset, size) == whole[offset : offset + size]
    file.close()


def test_a_file_of_nothing_but_a_hole_reads_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "hole"
    with path.open("wb") as stream:
        stream.truncate(HOLE)
    assert open_mapped(path).read(0, HOLE) == bytes(HOLE)


@given(st.lists(st.tuples(st.sampled_from([b"\0", b"x"]), st.integers(0, 9000)), max_size=6), st.integers(0, 5000))
def test_what_is_written_sparse_reads_the_same(pieces: list[tuple[bytes, int]], start: int) -> None:
    data = b"y" * start + b"".join(byte * count for byte, count in pieces)
    stream = io.BytesIO()
    write_sparse(stream, data[: len(data) // 2])
    write_sparse(stream, data[len(data) // 2 :])
    end_sparse(stream)
    # BytesIO has no holes: what was skipped at its end it does not have.
    assert stream.getvalue().ljust(len(data), b"\0") == data


def test_zeros_cost_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as stream:
        write_sparse(stream, b"x" + bytes(8 * HOLE) + b"x" + bytes(HOLE))
        end_sparse(stream)
    assert path.stat().st_size == 9 * HOLE + 2
    assert path.stat().st_blocks * 512 < HOLE


@pytest.mark.parametrize(("mode", "error"), [(0o000, TargetRefused), (None, TargetNotFound)])
def test_files_that_cannot_be_opened_are_explained(tmp_path: Path, mode: int | None, error: type[Exception]) -> None:
    path = tmp_path / "core"
    if mode is not None:
        path.write_bytes(b"x")
        path.chmod(mode)
        if os.access(path, os.R_OK):
            pytest.skip("root reads everything")
    with pytest.raises(error):
        open_mapped(path)


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(FormatError, match="empty"):
        map_stream(io.BytesIO(b""), "nothing")


class Bytes:
    """A ByteSource over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


DATA = bytes(range(256))


def parts() -> PartedMemory:
    source = Bytes(DATA)
    return PartedMemory(
        [
            Part(0x1000, 0x1040, 0, lambda: source),
            Part(0x1040, 0x1080, 0x80, lambda: source),
            Part(0x2000, 0x2040, 0xE0, lambda: source),  # ends after its source does
            Part(0x3000, 0x3040, 0, lambda: None),
        ]
    )


def test_reads_span_touching_parts_and_stop_at_what_is_missing() -> None:
    memory = parts()
    assert memory.read(0x1030, 0x20) == DATA[0x30:0x40] + DATA[0x80:0x90]
    assert memory.read(0x1030, 0) == b""
    assert memory.readable(AddressRange(0, 1 << 64)) == (AddressRange(0x1000, 0x1080), AddressRange(0x2000, 0x2020))
    for address, size in (
        (0x0FFF, 2),
        (0x1070, 0x20),
        (0x2010, 0x20),
        (0x3000, 1),
        (0x1000, 1 << 62),
        (0x1000, -1),
        (-8, 8),
    ):
        with pytest.raises(MemoryUnreadable):
            memory.read(address, size)


def aarch64_core(machine: int = 183) -> bytes:
    values = [100 + index for index in range(len(AARCH64.registers.names))]
    process = ProcessNote(7, "main", "main")
    status = pack_prstatus(ThreadNote(7, 11, 0, 5, struct.pack(f"<{len(values)}Q", *values)), process)
    notes = (
        pack_note(b"CORE", NoteType.PRSTATUS, status)
        + pack_note(b"CORE", NoteType.PRPSINFO, pack_prpsinfo(process))
        + pack_note(b"LINUX", NoteType.ARM_TLS, struct.pack("<Q", 0x7FFF0000))
        + pack_note(b"CORE", NoteType.AUXV, pack_auxv({6: 4096}))
    )
    segments = [OutputSegment(0x10000, 4096, 6, True)]
    return b"".join(core_pieces(machine, notes, segments, lambda _, size: b"\x42" * size))


def test_a_core_of_aarch64_gives_its_registers_and_thread_pointer() -> None:
    with open_core(io.BytesIO(aarch64_core())) as backend:
        snapshot = backend.target
        assert snapshot.architecture is AARCH64
        [thread] = snapshot.threads
        assert thread.registers
        assert dict(thread.registers)["x0"] == 100
        assert (thread.registers.sp, thread.registers.pc) == (131, 132)
        assert thread.thread_pointer == 0x7FFF0000
        assert thread.syscall is None  # no register tells there
        assert thread.signal
        assert thread.signal.number == 11
        assert snapshot.memory.read(0x10000, 4) == b"BBBB"


def test_a_core_of_an_unknown_machine_is_refused() -> None:
    with pytest.raises(UnsupportedTarget, match="243"):
        open_core(io.BytesIO(aarch64_core(243)))
