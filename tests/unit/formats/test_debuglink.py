from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings

from tests.support.elf_samples import compile_source, damaged, sample
from tinspect.formats.debuglink import parse_debug_data, parse_debug_link
from tinspect.formats.elf import ElfImage


def test_link_names_the_file_and_its_checksum(tmp_path: Path) -> None:
    program = compile_source(tmp_path / "sample", ("-g",))
    debug = tmp_path / "sample.debug"
    subprocess.run(["objcopy", "--only-keep-debug", str(program), str(debug)], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", str(program)], check=True)
    link = parse_debug_link(ElfImage(program.read_bytes()))
    assert link is not None
    assert link.name == "sample.debug"
    assert link.matches(debug.read_bytes())
    assert not link.matches(program.read_bytes())


def add_section(tmp_path: Path, name: str, content: bytes) -> ElfImage:
    program, piece = compile_source(tmp_path / "sample"), tmp_path / "piece"
    piece.write_bytes(content)
    subprocess.run(["objcopy", f"--add-section={name}={piece}", str(program)], check=True)
    return ElfImage(program.read_bytes())


def test_a_link_may_not_lead_elsewhere(tmp_path: Path) -> None:
    for name in (b"../../etc/passwd\0\0\0\0", b"..\0\0", b"\0\0\0\0"):
        assert parse_debug_link(add_section(tmp_path, ".gnu_debuglink", name + b"\1\2\3\4")) is None


def test_mini_debug_data_is_decompressed_within_bounds(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.write_bytes(sample())
    packed = subprocess.run(["xz", "-c", str(inner)], capture_output=True, check=True).stdout
    assert parse_debug_data(add_section(tmp_path, ".gnu_debugdata", packed)) == sample()
    assert parse_debug_data(add_section(tmp_path, ".gnu_debugdata", packed[:-20])) is None
    assert parse_debug_data(add_section(tmp_path, ".gnu_debugdata", b"no xz")) is None


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    zeros = subprocess.run("head -c 300000000 /dev/zero | xz -1c", shell=True, capture_output=True, check=True).stdout
    assert len(zeros) < 100_000
    assert parse_debug_data(add_section(tmp_path, ".gnu_debugdata", zeros)) is None


@settings(max_examples=50, deadline=None)
@given(damaged(sample()))
def test_damaged_files_have_no_link(data: bytes) -> None:
    try:
        image = ElfImage(data)
    except Exception:
        return
    assert parse_debug_link(image) is None
    assert parse_debug_data(image) is None
