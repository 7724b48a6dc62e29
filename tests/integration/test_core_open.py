"""Cores of programs that told the truth about themselves first."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from tests.support.core_maker import CrashProgram, build, gcore, start_crash
from tinspect.backends.core import open_core
from tinspect.errors import FormatError, MemoryUnreadable, TargetNotFound, TinspectError, UsageError
from tinspect.model.address import AddressRange
from tinspect.model.thread import Exactness
from tinspect.target.target import Snapshot, TargetKind

Start = Callable[..., CrashProgram]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[CrashProgram] = []

    def run(way: str, threads: int = 2, **options: object) -> CrashProgram:
        programs.append(start_crash(tmp_path, way, threads, **options))  # type: ignore[arg-type]
        return programs[-1]

    yield run
    for program in programs:
        program.end()


def check_threads(snapshot: Snapshot, program: CrashProgram) -> None:
    """Every thread is there, with its own registers, thread pointer and stack bytes."""
    assert {thread.tid for thread in snapshot.threads} == {program.pid, program.crasher.tid, *program.threads}
    assert [thread.tid for thread in snapshot.threads if thread.is_main] == [program.pid]
    for told in program.threads.values():
        thread = snapshot.thread(told.tid)
        assert thread
        assert thread.registers
        assert thread.thread_pointer == told.pointer
        assert told.low <= thread.registers.sp < told.local
        assert thread.exactness is Exactness.STOPPED
        assert snapshot.memory.read(told.local, 16) == struct.pack("<QQ", told.tid, told.tid)


@pytest.mark.parametrize(
    ("way", "number", "code", "address"),
    [
        ("null", signal.SIGSEGV, 1, 0x18),
        ("call", signal.SIGSEGV, 1, 0),
        ("abort", signal.SIGABRT, -6, None),
        ("overflow", signal.SIGSEGV, 2, -1),
    ],
)
def test_a_kernel_core_tells_its_threads_and_who_died(
    start: Start, way: str, number: int, code: int, address: int | None
) -> None:
    program = start(way)
    with open_core(program.die()) as backend:
        snapshot = backend.target
        check_threads(snapshot, program)
        first = snapshot.threads[0]
        assert first.tid == program.crasher.tid
        assert first.signal
        assert (first.signal.number, first.signal.code) == (number, code)
        if address == -1:  # just below the stack that pthread_getattr_np told
            assert first.signal.address is not None
            assert program.crasher.low - 4096 <= first.signal.address < program.crasher.low
        else:
            assert first.signal.address == address
        assert all(thread.signal is None for thread in snapshot.threads[1:])
        assert snapshot.kind is TargetKind.CORE
        assert snapshot.facts.pid == program.pid
        assert snapshot.facts.executable == str(program.executable)
        assert [gap.what for gap in snapshot.gaps] == ["names", "sigaltstack"]


def test_a_gcore_core_tells_the_same_and_no_signal(start: Start, tmp_path: Path) -> None:
    program = start("wait")
    with open_core(gcore(program.pid, tmp_path)) as backend:
        check_threads(backend.target, program)
        assert all(thread.signal is None for thread in backend.target.threads)


def test_mappings_and_modules_are_those_the_process_had(start: Start, tmp_path: Path) -> None:
    from tinspect.formats.procfs import parse_maps

    program = start("null")
    live = parse_maps(Path(f"/proc/{program.pid}/maps").read_bytes())
    with open_core(program.die()) as backend:
        snapshot = backend.target
        held = {(m.range, m.permissions, m.offset, m.name) for m in snapshot.mappings if m.name.startswith("/")}
        assert held == {(m.range, m.permissions, m.offset, m.name) for m in live if m.is_file}
        assert [m.range.high for m in snapshot.mappings if m.name == "[stack]"] == [
            m.range.high for m in live if m.name == "[stack]"
        ]
        main = snapshot.modules.main
        assert main
        assert main.path == str(program.executable)
        assert main.build_id == _build_id(program.executable)
        assert {module.path for module in snapshot.modules} == {
            m.name for m in live if m.name.startswith("/") or m.name == "[vdso]"
        }


def _build_id(path: Path) -> str:
    text = subprocess.run(["readelf", "-n", str(path)], capture_output=True, text=True, check=True).stdout
    return text.split("Build ID: ")[1].split()[0]


def test_code_comes_from_the_files_and_never_from_another_build(start: Start, tmp_path: Path) -> None:
    own = tmp_path / "program"
    shutil.copy(build("core_crash"), own)
    program = start("null", executable=own)
    core = program.die()
    with open_core(core) as backend:
        first = backend.target.threads[0]
        assert first.registers
        code = backend.target.memory.read(first.registers.pc, 16)
        assert code in own.read_bytes()
    shutil.copy(build("core_crash", "-O2"), own)
    with open_core(core) as backend:
        with pytest.raises(MemoryUnreadable):
            backend.target.memory.read(first.registers.pc, 16)
        assert any("not the one that ran" in gap.why for gap in backend.target.gaps)
        check_threads(backend.target, program)
    own.unlink()
    with open_core(core) as backend:
        assert any("no file for" in gap.why for gap in backend.target.gaps)
        check_threads(backend.target, program)
    with open_core(core, build("core_crash")) as backend:
        assert backend.target.memory.read(first.registers.pc, 16) == code
        assert [gap.what for gap in backend.target.gaps] == ["names", "sigaltstack"]


def test_memory_that_was_not_dumped_is_missing_and_not_zero(start: Start) -> None:
    program = start("null", filter_mask=0)
    with open_core(program.die()) as backend:
        snapshot = backend.target
        for told in program.threads.values():
            with pytest.raises(MemoryUnreadable):
                snapshot.memory.read(told.local, 16)
        assert [gap.why for gap in snapshot.gaps if gap.what == "stack"] != []
        libc = next(module for module in snapshot.modules if module.name.startswith("libc.so"))
        assert not libc.build_id
        assert any(libc.name in gap.why and "unproved" in gap.why for gap in snapshot.gaps)
        # Code is the file's, but what relocation changed in the process (RELRO, r--p) is not.
        writable = [m for m in snapshot.mappings if m.name == libc.path and not m.is_executable]
        assert snapshot.memory.readable(writable[-1].range) == ()
        assert snapshot.memory.readable(writable[-2].range) == ()
        assert snapshot.memory.readable(writable[0].range) == (writable[0].range,)


def test_a_sysroot_and_a_folder_of_files_serve(start: Start, tmp_path: Path) -> None:
    own = tmp_path / "gone" / "program"
    own.parent.mkdir()
    shutil.copy(build("core_crash"), own)
    program = start("null", executable=own)
    core = program.die()
    root = tmp_path / "root"
    (root / own.parent.relative_to("/")).mkdir(parents=True)
    own.rename(root / own.relative_to("/"))
    with open_core(core, sysroot=root) as backend:
        main = backend.target.modules.main
        assert main
        assert backend.target.files.open_image(main) is not None
        assert any("libc" in gap.why for gap in backend.target.gaps)  # this machine's own libc is not in the sysroot
    flat = tmp_path / "flat"
    flat.mkdir()
    for module in backend.target.modules:
        if module.path.startswith("/") and not module.is_main:
            shutil.copy(module.path, flat)
    shutil.copy(build("core_crash"), flat / "program")
    with open_core(core, sysroot=flat) as backend:
        assert [gap.what for gap in backend.target.gaps] == ["names", "sigaltstack"]


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "lz4": lz4.frame.compress,
}


def test_compressed_and_piped_cores_are_the_same_core(start: Start, tmp_path: Path) -> None:
    program = start("null")
    data = program.die().read_bytes()
    for suffix, compress in COMPRESS.items():
        path = tmp_path / f"packed.{suffix}"
        path.write_bytes(compress(data))
        with open_core(path) as backend:
            check_threads(backend.target, program)
    with open_core(io.BytesIO(data)) as backend:
        check_threads(backend.target, program)
    reading, writing = os.pipe()
    with subprocess.Popen(["cat", str(path)], stdout=writing), os.fdopen(reading, "rb") as pipe:
        os.close(writing)
        with open_core(pipe) as backend:
            check_threads(backend.target, program)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(data)[:-2000])
    with open_core(cut) as backend:
        assert any("could not be unpacked whole" in gap.why for gap in backend.target.gaps)


def test_standard_input_serves(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("null")
    core = program.die()
    script = "from tinspect.backends.core import open_core; print(len(open_core('-').target.threads))"
    with core.open("rb") as stream:
        done = subprocess.run([sys.executable, "-c", script], stdin=stream, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"


def test_core_and_executable_come_in_either_order(start: Start, tmp_path: Path) -> None:
    program = start("null")
    core = program.die()
    with open_core(program.executable, core) as backend:
        check_threads(backend.target, program)
    with pytest.raises(UsageError, match="not a core"):
        open_core(program.executable)
    with pytest.raises(UsageError, match="both are programs"):
        open_core(program.executable, program.executable)


def test_what_is_no_core_gets_a_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text"
    text.write_text("not a core")
    with pytest.raises(FormatError, match="not an ELF file"):
        open_core(text)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(FormatError, match="empty"):
        open_core(empty)
    with pytest.raises(TargetNotFound, match="There is no file"):
        open_core(tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetNotFound, match="coredumpctl"):
        open_core("4711")


def test_a_pid_goes_through_coredumpctl(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("null")
    core = program.die()
    tool = tmp_path / "coredumpctl"
    tool.write_text(
        f'#!/bin/sh\n[ "$4" = "{program.pid}" ] || {{ echo "No match found." >&2; exit 1; }}\nexec cat {core}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with open_core(str(program.pid)) as backend:
        check_threads(backend.target, program)
    with pytest.raises(TargetNotFound, match="No match found"):
        open_core("nobody")


@pytest.mark.parametrize("kept", [70, 1000, 5000, 0.3, 0.6, 0.9, 0.99])
def test_a_core_cut_anywhere_opens_or_is_refused_in_words(start: Start, tmp_path: Path, kept: float) -> None:
    program = start("null")
    core = program.die()
    data = core.read_bytes()
    core.write_bytes(data[: int(kept if kept > 1 else len(data) * kept)])
    try:
        backend = open_core(core)
    except TinspectError:
        return  # refused in words
    with backend:
        snapshot = backend.target
        assert any("cut off" in gap.why or "ends within" in gap.why for gap in snapshot.gaps)
        for told in program.threads.values():
            for part in snapshot.memory.readable(AddressRange(told.local, told.local + 16)):
                assert snapshot.memory.read(part.low, 8) == struct.pack("<Q", told.tid)
