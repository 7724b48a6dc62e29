"""Cores that name no files and hold no ELF headers, as QEMU writes them: files are taken where all that is held agrees with them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.support.elf_samples import compile_source
from tinspect.backends.core import CoreBackend, open_core
from tinspect.formats import auxv as aux
from tinspect.formats.core_headers import pack_note
from tinspect.formats.core_notes import NoteType
from tinspect.formats.core_writer import OutputSegment, core_pieces
from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import PF_W, PT_DYNAMIC, PT_LOAD
from tinspect.model.address import AddressRange

BIAS = 0x5500000000
PAGE = 4096


def core_of(path: Path, table: int | None = None) -> bytes:
    """A core of the program as its file would lie in memory: what can be written to is held, all else only mapped."""
    image = ElfImage(path.read_bytes())
    memory = bytearray(max(segment.address + segment.memory_size for segment in image.segments) + PAGE)
    held = []
    for segment in image.segments:
        if segment.type == PT_LOAD:
            memory[segment.address : segment.address + segment.file_size] = image.segment_data(segment)
            low = segment.address // PAGE * PAGE
            high = -(-(segment.address + segment.memory_size) // PAGE) * PAGE
            held.append(OutputSegment(BIAS + low, high - low, segment.flags, bool(segment.flags & PF_W)))
    vector = {
        aux.AT_PHDR: BIAS + image.header.segment_offset if table is None else table,
        aux.AT_PHNUM: len(image.segments),
        aux.AT_ENTRY: BIAS + image.header.entry,
    }
    notes = pack_note(b"CORE", NoteType.AUXV, aux.pack_auxv(vector))
    read = lambda address, size: bytes(memory[address - BIAS : address - BIAS + size])  # noqa: E731
    return b"".join(core_pieces(image.header.machine, notes, held, read))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return compile_source(tmp_path / "program")


def opened(core: Path, executable: Path | None) -> CoreBackend:
    return open_core(io.BytesIO(core_of(core)), executable)


def test_the_named_program_stands_in_for_its_header(program: Path) -> None:
    with opened(program, program) as backend:
        target, image = backend.target, ElfImage(program.read_bytes())
        [module] = target.modules
        assert (module.is_main, module.load_bias, module.path) == (True, BIAS, str(program))
        text = image.find_section(".text")
        assert text
        assert target.memory.read(BIAS + text.address, text.size) == image.section_data(text)
        mapping = target.mappings.find(BIAS + text.address)
        assert mapping
        assert (mapping.name, mapping.is_executable) == (str(program), True)
        assert BIAS + text.address - mapping.range.low + mapping.offset == text.offset
        assert any("taken, unproved" in gap.why for gap in target.gaps)


def test_what_may_have_been_written_never_comes_from_the_file(program: Path) -> None:
    core = bytearray(core_of(program))
    core = core[: len(core) - PAGE]  # the end of the writable segment is cut off
    with open_core(io.BytesIO(core), program) as backend:
        image = ElfImage(program.read_bytes())
        end = max(segment.address + segment.memory_size for segment in image.segments if segment.type == PT_LOAD)
        last = BIAS + (end - 1) // PAGE * PAGE
        assert backend.target.memory.readable(AddressRange(last, last + PAGE)) == ()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("int other(int n) { return n; } int main(void) { return other(3); }", "another entry point"),
        (None, "another dynamic section"),
    ],
)
def test_another_program_is_not_taken(program: Path, tmp_path: Path, source: str | None, words: str) -> None:
    other = tmp_path / "other"
    if source is not None:
        compile_source(other, ("-Wl,--section-start=.text=0x3040",), source)
    else:
        data = bytearray(program.read_bytes())
        segment = ElfImage(data).find_segment(PT_DYNAMIC)
        assert segment
        data[segment.offset + 8] ^= 1  # the value of the first entry
        other.write_bytes(data)
    with opened(program, other) as backend:
        assert not list(backend.target.modules)
        [gap] = [gap for gap in backend.target.gaps if gap.what == "modules"]
        assert words in gap.why
        assert "Name the right one" in gap.why


def test_a_program_for_another_processor_is_not_taken(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    data = bytearray(program.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")
    other.write_bytes(data)
    with opened(program, other) as backend:
        assert not list(backend.target.modules)
        assert any("is for another processor (ELF machine 183)" in gap.why for gap in backend.target.gaps)


def test_without_a_program_it_says_so(program: Path) -> None:
    with opened(program, None) as backend:
        assert not list(backend.target.modules)
        assert [gap.what for gap in backend.target.gaps if "no file for" in gap.why] == ["modules"]


@pytest.mark.parametrize("table", [1, (1 << 64) - 1, (1 << 64) - 4096, BIAS - 4096])
def test_a_place_that_cannot_be_is_no_module(program: Path, table: int) -> None:
    with open_core(io.BytesIO(core_of(program, table)), program) as backend:
        assert all(module.range.high <= 1 << 64 for module in backend.target.modules)
        assert not any(module.load_bias == BIAS for module in backend.target.modules)
