"""Snapshots: everything comes back, and debuggers see in them what they see in gcore's core."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.core_maker import CrashProgram, build, gcore, start_crash
from tests.support.snapshots import capture
from tests.support.waiting import PATIENCE_S
from tinspect.backends.core import open_core
from tinspect.backends.snapshot_file import write_snapshot
from tinspect.errors import MemoryUnreadable, TargetLost, TargetRefused
from tinspect.model.address import AddressRange
from tinspect.target.memory import MemoryReader
from tinspect.target.target import Snapshot


@pytest.fixture
def program(tmp_path: Path) -> Iterator[CrashProgram]:
    running = start_crash(tmp_path, "wait", 3)
    yield running
    running.end()


def same_memory(written: Snapshot, read: Snapshot) -> int:
    """Every stored byte is the captured one; how many there are."""
    total = 0
    for mapping in written.mappings:
        for part in read.memory.readable(mapping.range):
            assert read.memory.read(part.low, part.size) == written.memory.read(part.low, part.size)
            total += part.size
    return total


@pytest.mark.parametrize("compress", [None, "zstd"])
def test_all_that_was_captured_comes_back(program: CrashProgram, tmp_path: Path, compress: str | None) -> None:
    snapshot = capture(program.pid)
    path = tmp_path / "snapshot"
    assert write_snapshot(snapshot, path, compress=compress) == path.stat().st_size
    with open_core(path) as backend:
        back = backend.target
        assert back.threads == snapshot.threads
        assert list(back.mappings) == list(snapshot.mappings)
        assert list(back.modules) == list(snapshot.modules)
        assert back.facts == snapshot.facts
        assert back.pages == snapshot.pages
        assert back.pages
        assert back.signal_stacks == snapshot.signal_stacks
        assert (back.guard_flags_known, back.pause_us, back.gaps) == (
            snapshot.guard_flags_known, snapshot.pause_us, snapshot.gaps,
        )  # fmt: skip
        assert same_memory(snapshot, back) > 1 << 16
        for thread in snapshot.threads:
            assert thread.registers
            own = program.threads.get(thread.tid)
            high = own.high if own else thread.registers.sp + 512
            assert back.memory.readable(AddressRange(thread.registers.sp - 128, high)) == (
                AddressRange(thread.registers.sp - 128, high),
            )


GDB = ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set auto-load safe-path /"]
LOOK = ["-ex", "thread apply all bt", "-ex", "thread apply all info registers", "-ex", "info sharedlibrary"]


def gdb_says(executable: Path, core: Path) -> list[str]:
    command = [*GDB, str(executable), str(core), *LOOK]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    # AVX-512's mask registers, which gdb before 14 takes from the wrong place of other processors' than Intel's.
    return [line for line in text.splitlines() if not re.match(r"k[0-7] ", line)]


def eu_stack_says(executable: Path, core: Path) -> set[str]:
    command = ["eu-stack", "--core", str(core), "-e", str(executable)]
    text = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S).stdout
    return set(text.split("TID ")[1:])


def test_gdb_and_eu_stack_see_what_they_see_in_a_gcore_core(program: CrashProgram, tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    size = write_snapshot(capture(program.pid), path)
    core = gcore(program.pid, tmp_path)
    said = gdb_says(program.executable, path)
    assert said == gdb_says(program.executable, core)
    assert sum("in block " in line for line in said) == len(program.threads)
    stacks = eu_stack_says(program.executable, path)
    assert stacks == eu_stack_says(program.executable, core)
    assert len(stacks) == len(program.threads) + 2
    assert size < core.stat().st_size / 100
    listed = subprocess.run(["eu-readelf", "-h", "-l", "-n", str(path)], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    assert listed.stdout.count("PRSTATUS") == len(program.threads) + 2


def test_the_heap_is_kept_when_asked_for(program: CrashProgram, tmp_path: Path) -> None:
    heap = capture(program.pid).mappings.find_named("[heap]")
    assert heap
    for with_heap in (False, True):
        snapshot = capture(program.pid, heap=with_heap)
        write_snapshot(snapshot, tmp_path / "snapshot")
        with open_core(tmp_path / "snapshot") as backend:
            held = sum(part.size for part in backend.target.memory.readable(heap.range))
            assert (held > 4096) is with_heap


def test_a_full_snapshot_needs_no_files(tmp_path: Path) -> None:
    own = tmp_path / "program"
    own.write_bytes(build("core_crash").read_bytes())
    own.chmod(0o755)
    program = start_crash(tmp_path, "wait", 2, executable=own)
    try:
        snapshot = capture(program.pid, full=True)
        write_snapshot(snapshot, tmp_path / "snapshot", full=True)
        code = {t.tid: snapshot.memory.read(t.registers.pc, 16) for t in snapshot.threads if t.registers}
    finally:
        program.end()
    empty = tmp_path / "empty"
    empty.mkdir()
    with open_core(tmp_path / "snapshot", sysroot=empty) as backend:
        for thread in backend.target.threads:
            assert thread.registers
            assert backend.target.memory.read(thread.registers.pc, 16) == code[thread.tid]
        main = backend.target.modules.main
        assert main
        image = backend.target.files.open_image(main)
        assert image is not None
        assert bytes(image[:4]) == b"\x7fELF"


def test_a_deleted_program_is_kept_whole(tmp_path: Path) -> None:
    own = tmp_path / "program"
    own.write_bytes(build("core_crash").read_bytes())
    own.chmod(0o755)
    program = start_crash(tmp_path, "wait", 2, executable=own)
    own.unlink()
    try:
        snapshot = capture(program.pid)
        write_snapshot(snapshot, tmp_path / "snapshot")
    finally:
        program.end()
    with open_core(tmp_path / "snapshot") as backend:
        main = backend.target.modules.main
        assert main
        assert main.deleted
        image = backend.target.files.open_image(main)
        assert image is not None
        assert b"blocked %ld" in bytes(image)


def test_a_guard_in_the_middle_of_a_mapping_costs_itself_alone(tmp_path: Path) -> None:
    with subprocess.Popen([build("core_guarded")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        words = process.stdout.readline().split()
        if words == ["unsupported"]:
            process.kill()
            pytest.skip("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)")
        process.stdout.readline()
        write_snapshot(capture(process.pid, heap=True), tmp_path / "snapshot")
        process.kill()
    low, pages, guarded = (int(word, 0) for word in words[1:])
    guard = low + guarded * 4096
    with open_core(tmp_path / "snapshot") as backend:
        whole = AddressRange.sized(low, pages * 4096)
        assert backend.target.memory.readable(whole) == (
            AddressRange(low, guard), AddressRange(guard + 4096, whole.high),
        )  # fmt: skip
        assert backend.target.memory.read(low, guard - low) == b"x" * (guard - low)


class Breaking:
    """Memory that gives out after some reads."""

    def __init__(self, memory: MemoryReader, reads: int, error: Callable[[], BaseException]) -> None:
        self._memory = memory
        self._left = reads
        self._error = error

    def read(self, address: int, size: int) -> bytes:
        if size > 4096:
            self._left -= 1
            if self._left < 0:
                raise self._error()
        return self._memory.read(address, size)

    def readable(self, wanted: AddressRange) -> tuple[AddressRange, ...]:
        return self._memory.readable(wanted)


def test_a_write_that_fails_leaves_nothing_and_spares_what_was_there(program: CrashProgram, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "snapshot"
    path.write_text("the old one")
    snapshot = capture(program.pid)
    interrupted = replace(snapshot, memory=Breaking(snapshot.memory, 2, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_snapshot(interrupted, path)
    dead = replace(snapshot, memory=Breaking(snapshot.memory, 2, lambda: MemoryUnreadable(0, 1)))
    with pytest.raises(TargetLost, match="ended before"):
        write_snapshot(dead, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # what a full disk does, by a limit of our own
    try:
        with pytest.raises(TargetRefused, match="no room"):
            write_snapshot(snapshot, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(TargetRefused, match="cannot be written"):
        write_snapshot(snapshot, tmp_path / "nowhere" / "snapshot")
    assert [entry.name for entry in Path(folder).iterdir()] == ["snapshot"]
    assert path.read_text() == "the old one"


def test_a_core_can_be_made_a_snapshot(program: CrashProgram, tmp_path: Path) -> None:
    with open_core(gcore(program.pid, tmp_path)) as backend:
        write_snapshot(backend.target, tmp_path / "snapshot")
        with open_core(tmp_path / "snapshot") as again:
            assert again.target.threads == backend.target.threads
            assert same_memory(backend.target, again.target) > 1 << 16
