from __future__ import annotations

import re
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings

from tests.support.elf_samples import compile_source, damaged, sample
from tinspect.errors import FormatError
from tinspect.formats.elf import ElfImage, parse_notes
from tinspect.formats.elf_constants import PT_TLS
from tinspect.formats.elf_rebuild import rebuild_image
from tinspect.formats.section_data import decompress_section

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")


def readelf(*arguments: str) -> str:
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True).stdout


def test_sections_are_those_of_readelf() -> None:
    image = ElfImage(LIBC.read_bytes())
    listed = re.findall(r"\[ *\d+\] (\S+) +\S+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)", readelf("-S", str(LIBC)))
    ours = [(s.name, s.address, s.offset, s.size) for s in image.sections if s.name]
    assert ours == [(name, int(address, 16), int(offset, 16), int(size, 16)) for name, address, offset, size in listed]


def test_segments_are_those_of_readelf() -> None:
    image = ElfImage(LIBC.read_bytes())
    listed = re.findall(
        r"^  [A-Z_]+ +0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+) 0x([0-9a-f]+)",
        readelf("-l", str(LIBC)),
        re.M,
    )
    ours = [(s.offset, s.address, s.file_size, s.memory_size) for s in image.segments]
    assert ours == [tuple(int(part, 16) for part in row) for row in listed]


def test_build_id_dynamic_and_tls() -> None:
    image = ElfImage(LIBC.read_bytes())
    found = re.search(r"Build ID: ([0-9a-f]+)", readelf("-n", str(LIBC)))
    assert found is not None
    assert image.build_id == found.group(1)
    assert (
        len(image.dynamic) == len(re.findall(r"^ 0x[0-9a-f]{16} \(", readelf("-d", str(LIBC)), re.M)) - 1
    )  # its last is DT_NULL
    tls = ElfImage(sample()).find_segment(PT_TLS)
    assert tls is not None
    assert tls.memory_size == 16  # int and long, aligned


@pytest.mark.parametrize("kind", ["zlib", "zstd"])
def test_compressed_section_is_the_plain_one(kind: str) -> None:
    content = bytes(range(256)) * 300
    packed = zlib.compress(content) if kind == "zlib" else zstandard.ZstdCompressor().compress(content)
    header = struct.pack("<IIQQ", 1 if kind == "zlib" else 2, 0, len(content), 1)
    assert bytes(decompress_section(memoryview(header + packed))) == content
    for damage in (
        header[:-9],
        header + packed[:20],
        header + b"x" * 40,
        struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + packed,
    ):
        with pytest.raises(FormatError):
            decompress_section(memoryview(damage))


def test_compressed_debug_information_is_read(tmp_path: Path) -> None:
    plain = compile_source(tmp_path / "plain", ("-g",))
    packed = tmp_path / "packed"
    subprocess.run(["objcopy", "--compress-debug-sections=zlib", str(plain), str(packed)], check=True)
    before, after = ElfImage(plain.read_bytes()), ElfImage(packed.read_bytes())
    section = after.find_section(".debug_info")
    assert section is not None
    assert section.flags & 0x800
    assert bytes(after.section_data(section)) == bytes(before.find_section_data(".debug_info") or b"")


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"MZ" * 40, b"\x7fELF\x01\x01\x01" + bytes(57), b"\x7fELF\x02\x02\x01" + bytes(57)]
)
def test_what_is_no_elf_file_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        ElfImage(data)


def test_a_file_cut_within_its_program_headers_is_refused() -> None:
    with pytest.raises(FormatError):
        ElfImage(sample()[:100])


def test_an_image_without_sections_still_serves() -> None:
    data = bytearray(sample())
    data[40:48] = bytes(8)  # e_shoff
    image = ElfImage(data)
    assert image.sections == ()
    assert image.build_id
    assert image.dynamic


def test_an_image_rebuilt_from_memory_is_the_file() -> None:
    """Maps the file's segments as the loader would, by hand, and rebuilds the file from them."""
    original = sample("-no-pie")
    image = ElfImage(original)
    loads = [s for s in image.segments if s.type == 1]
    memory = bytearray(0x10000)
    base = loads[0].address
    for s in loads:
        start, end = s.address % 4096, s.file_size
        page = s.address - base - start
        memory[page : page + start + end] = original[s.offset - start : s.offset + end]

    def read(address: int, size: int) -> bytes | None:
        return (
            bytes(memory[address - base : address - base + size])
            if base <= address <= base + len(memory) - size
            else None
        )

    rebuilt = rebuild_image(read, base)
    assert rebuilt is not None
    assert ElfImage(rebuilt).build_id == image.build_id
    for s in loads:
        assert rebuilt[s.offset : s.offset + s.file_size] == original[s.offset : s.offset + s.file_size]


def test_notes_stop_at_the_first_that_does_not_fit() -> None:
    good = (4).to_bytes(4, "little") + (4).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"GNU\0abcd"
    bad = (4).to_bytes(4, "little") + (0xFFFFFFFF).to_bytes(4, "little") + bytes(4) + b"GNU\0"
    notes = list(parse_notes(memoryview(good + bad + good)))
    assert [(n.owner, n.type, bytes(n.data)) for n in notes] == [("GNU", 3, b"abcd")]


@settings(max_examples=300, deadline=None)
@given(damaged(sample("-g"), 0, 1200))
def test_damaged_headers_raise_nothing_else(data: bytes) -> None:
    use(data)


@settings(max_examples=100, deadline=None)
@given(damaged(sample("-g"), len(sample("-g")) - 2600))
def test_damaged_section_tables_raise_nothing_else(data: bytes) -> None:
    use(data)


def use(data: bytes) -> None:
    try:
        image = ElfImage(data)
    except FormatError:
        return
    assert len(list(image.notes())) < 1000
    assert isinstance(image.build_id, str)
    for section in image.sections[:100]:
        try:
            image.section_data(section)
        except FormatError:
            continue
    assert len(image.dynamic) <= len(data)
    for segment in image.segments[:100]:
        image.data_from(segment.address)
    rebuild_image(
        lambda address, size: data[address : address + size].ljust(size, b"\0") if 0 <= address < len(data) else None, 0
    )
