"""Floating-point and vector registers in snapshots: as the program loaded them, and as gdb shows them from gcore's core."""

from __future__ import annotations

import os
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.native.conftest import StartProgram, start_program  # noqa: F401 (a fixture)
from tests.support.core_maker import gcore
from tinspect import session
from tinspect.formats.core_notes import NoteType
from tinspect.formats.elf import ElfImage, parse_notes
from tinspect.formats.elf_constants import PT_NOTE
from tinspect.formats.vector_notes import pack_vector_notes
from tinspect.model.options import SnapshotOptions
from tinspect.native import _inspect

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="its program loads registers of x86-64")
GDB = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set auto-load safe-path /"]
XMM, YMM_HIGH = (
    160,
    576,
)  # in an XSAVE area (Intel SDM, volume 1, 13.4): the FXSAVE area's xmm0, and the upper halves' component
REGISTERS = 16


def truth_of(lines: list[list[str]]) -> dict[int, int]:
    """How many bytes of its registers each thread has filled."""
    return {int(line[1]): int(line[2]) for line in lines if line[0] == "thread"}


def notes_of(core: Path) -> dict[int, dict[int, bytes]]:
    """By tid the notes that follow its NT_PRSTATUS."""
    data = memoryview(core.read_bytes())
    (segment,) = [s for s in ElfImage(data).segments if s.type == PT_NOTE]
    found: dict[int, dict[int, bytes]] = {}
    tid = 0
    for note in parse_notes(data[segment.offset : segment.offset + segment.file_size]):
        if note.type == NoteType.PRSTATUS:
            tid = int.from_bytes(note.data[32:36], "little")
        found.setdefault(tid, {})[note.type] = bytes(note.data)
    return found


def check_registers(tid: int, width: int, notes: dict[int, bytes]) -> None:
    floating, state = notes[NoteType.PRFPREG], notes.get(NoteType.X86_XSTATE)
    assert len(floating) == 512
    for index in range(REGISTERS):
        expected = bytes([(tid + index) % 256]) * 16
        assert floating[XMM + 16 * index :][:16] == expected
        assert state is None or state[XMM + 16 * index :][:16] == expected
        if width == 32:
            assert state is not None
            assert state[YMM_HIGH + 16 * index :][:16] == expected


def test_every_thread_s_registers_are_those_it_loaded(start_program: StartProgram, tmp_path: Path) -> None:  # noqa: F811
    program = start_program("vectors_truth", "5")
    truth = truth_of(program.hear_until("ready"))
    session.write_snapshot(program.pid, str(tmp_path / "core"), SnapshotOptions())
    notes = notes_of(tmp_path / "core")
    assert len(truth) == 5
    for tid, width in truth.items():
        check_registers(tid, width, notes[tid])
    assert all(int.from_bytes(each[NoteType.PRSTATUS][328:332], "little") == 1 for each in notes.values() if 1 in each)


def gdb_says(core: Path, *commands: str) -> str:
    arguments = [argument for command in commands for argument in ("-ex", command)]
    command = [*GDB, str(Path("build/programs/vectors_truth")), str(core), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


def test_gdb_shows_the_same_registers_as_of_a_core_by_gcore(start_program: StartProgram, tmp_path: Path) -> None:  # noqa: F811
    program = start_program("vectors_truth", "3")
    truth = truth_of(program.hear_until("ready"))
    session.write_snapshot(program.pid, str(tmp_path / "snapshot"), SnapshotOptions())
    core = gcore(program.pid, tmp_path)
    # Of AVX-512 gdb before 14 reads other processors than Intel's wrongly, in live processes: only what precedes it is compared.
    names = " ".join(
        [*(f"$xmm{n}" for n in range(16)), "mxcsr", *(f"$ymm{n}" for n in range(16) if 32 in truth.values())]
    )
    look = [f"thread apply all info registers {kind}" for kind in ("float", names)]
    said = gdb_says(tmp_path / "snapshot", *look)
    assert said == gdb_says(core, *look)
    assert "<unavailable>" not in said
    assert "too small" not in said
    for tid in truth:
        assert f"st0            {tid} " in said
        assert f"v16_int8 = {{{signed(tid)} <repeats 16 times>}}" in said


def signed(tid: int) -> str:
    """How gdb writes the byte that fills xmm0."""
    return f"{tid % 256:#x}" if tid % 256 else "0x0"


def test_nobody_else_pays_for_them(start_program: StartProgram) -> None:  # noqa: F811
    program = start_program("vectors_truth", "2")
    program.hear_until("ready")
    _, _, threads, *_ = _inspect.capture(program.pid)
    assert [thread[6] for thread in threads] == [b""] * 3
    _, _, threads, *_ = _inspect.capture(program.pid, vectors=True)
    assert all(len(thread[6]) >= 512 for thread in threads)


INTEL = {2: (576, 256), 5: (1088, 64), 6: (1152, 512), 7: (1664, 1024), 9: (2688, 8)}
AMD = {2: (576, 256), 5: (832, 64), 6: (896, 512), 7: (1408, 1024), 9: (2432, 8), 11: (2440, 16)}


def area(layout: dict[int, tuple[int, int]], enabled: int) -> bytes:
    """An XSAVE area whose components are filled with their numbers."""
    data = bytearray(max(offset + size for offset, size in layout.values()))
    data[:464] = b"\xaa" * 464
    struct.pack_into("<Q", data, 464, enabled)
    struct.pack_into("<Q", data, 512, enabled & ~4)
    for number, (offset, size) in layout.items():
        data[offset : offset + size] = bytes([number]) * size
    return bytes(data)


def notes_from(state: bytes, layout: dict[int, tuple[int, int]] | None) -> list[tuple[int, bytes]]:
    notes = parse_notes(memoryview(pack_vector_notes(state, layout)))
    return [(note.type, bytes(note.data)) for note in notes]


def test_an_area_in_intel_s_order_is_kept_as_it_is() -> None:
    state = area(INTEL, 0x2E7)
    floating = state[:464] + bytes(48)
    assert notes_from(state, INTEL) == [(NoteType.PRFPREG, floating), (NoteType.X86_XSTATE, state)]


@pytest.mark.parametrize(("enabled", "size"), [(0x2E7, 2696), (0xE7, 2688), (0xAE7, 2696)])
def test_an_area_in_another_order_is_laid_out_as_debuggers_expect(enabled: int, size: int) -> None:
    _, (_, written) = notes_from(area(AMD, enabled), AMD)
    assert len(written) == size
    assert written == area(INTEL, enabled & 0x2E7)[:size]


def test_an_area_that_needs_no_order_is_kept() -> None:
    """Without AVX-512 and PKRU all processors agree."""
    state = area({2: (576, 256)}, 7)
    assert notes_from(state, AMD)[1] == (NoteType.X86_XSTATE, state)


def test_this_processor_s_places_hold_what_it_has() -> None:
    places = {number: (offset, size) for number, offset, size in _inspect.vector_components()}
    ordered = sorted(places.values())
    assert all(low + size <= following for (low, size), (following, _) in pairwise(ordered))
    assert all(offset >= 576 for offset, _ in ordered)


def test_a_processor_without_xsave_has_one_note() -> None:
    state = bytes(range(256)) * 2
    assert notes_from(state, {}) == [(NoteType.PRFPREG, state[:464] + bytes(48))]


def test_other_architectures_have_their_own_form() -> None:
    state = bytes(range(256)) * 2 + bytes(16)
    assert notes_from(state, None) == [(NoteType.PRFPREG, state)]
