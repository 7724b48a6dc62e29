"""Which file is taken for a module, and what is said when it does not fit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tinspect.backends.module_files import (
    FoundModuleFiles,
    by_build_id,
    by_given_executable,
    by_name_below,
    by_path,
    by_process,
    elf_build_id,
)
from tinspect.formats.procfs import parse_maps
from tinspect.model.address import AddressRange
from tinspect.model.module import Module


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two programs that differ in their build ids alone."""
    folder = tmp_path_factory.mktemp("builds")
    source = folder / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    made = []
    for index in (1, 2):
        target = folder / f"program{index}"
        command = ["cc", "-o", str(target), str(source), f"-Wl,--build-id=0x{'0' + str(index):0>40}"]
        subprocess.run(command, check=True)
        made.append(target)
    return made[0], made[1]


def module(path: Path, build_id: str, **options: bool) -> Module:
    return Module(path.name, str(path), 0x1000, AddressRange(0x1000, 0x5000), build_id, **options)


def id_of(path: Path) -> str:
    found = elf_build_id(path.read_bytes())
    assert found
    return found


def test_only_the_build_that_ran_is_taken(builds: tuple[Path, Path]) -> None:
    first, second = builds
    files = FoundModuleFiles([by_path()])
    image = files.open_image(module(first, id_of(first)))
    assert image is not None
    assert bytes(image) == first.read_bytes()
    assert not files.gaps
    assert files.open_image(module(second, id_of(first))) is None
    [gap] = files.gaps
    assert str(second) in gap.why
    assert id_of(second) in gap.why


def test_the_first_finder_with_the_right_file_wins(builds: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = builds
    store = tmp_path / ".build-id" / id_of(first)[:2]
    store.mkdir(parents=True)
    shutil.copy(first, store / id_of(first)[2:])
    gone = module(Path("/gone/program"), id_of(first), is_main=True)
    for finders in (
        [by_path(), by_build_id((tmp_path,))],
        [by_given_executable(second), by_name_below(first.parent), by_given_executable(first)],
    ):
        image = FoundModuleFiles(finders).open_image(gone)
        assert image is not None
        assert elf_build_id(image) == id_of(first)


def test_a_module_without_build_id_is_taken_and_told(builds: tuple[Path, Path]) -> None:
    files = FoundModuleFiles([by_path()])
    assert files.open_image(module(builds[0], "")) is not None
    assert "unproved" in files.gaps[0].why
    # A deleted one has nothing to prove that what stands there now is what ran.
    files = FoundModuleFiles([by_path()])
    assert files.open_image(module(builds[0], "", deleted=True)) is None


def test_what_is_no_elf_file_is_told_and_devices_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\n")
    os.mkfifo(tmp_path / "fifo")
    files = FoundModuleFiles([by_path()])
    assert files.open_image(module(text, "ab" * 20)) is None
    assert "no ELF file" in files.gaps[0].why
    assert files.open_image(module(tmp_path / "fifo", "ab" * 20)) is None
    assert files.open_image(module(Path("/dev/zero"), "ab" * 20)) is None
    assert files.open_image(module(Path("/a\0b"), "ab" * 20)) is None


def test_memory_serves_where_no_file_does() -> None:
    image = memoryview(b"image")
    files = FoundModuleFiles([by_path()], lambda _: image)
    assert files.open_image(Module("[vdso]", "[vdso]", 0, AddressRange(0, 1), is_vdso=True)) is image
    assert files.open_image(module(Path("/gone"), "ab" * 20)) is image
    assert not files.gaps


def test_a_deleted_program_is_found_through_its_process(builds: tuple[Path, Path], tmp_path: Path) -> None:
    own = tmp_path / "sleep"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", own)
    build_id = id_of(own)
    with subprocess.Popen([str(own), "100"]) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while not any(entry.name == str(own) for entry in parse_maps(maps.read_bytes())):
            os.sched_yield()
        own.unlink()
        low = next(entry.range.low for entry in parse_maps(maps.read_bytes()) if entry.name == str(own))
        gone = Module("sleep", str(own), low, AddressRange(low, low + 4096), build_id, is_main=True, deleted=True)
        image = FoundModuleFiles([by_process(process.pid)]).open_image(gone)
        process.kill()
    assert image is not None
    assert elf_build_id(image) == build_id
