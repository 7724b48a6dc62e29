"""The report of a core beside what the program said of itself, and of a snapshot beside the one of the moment it was taken."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.core_maker import CrashProgram, build, gcore, start_crash
from tests.support.reports import report_of_core, report_of_snapshot
from tests.support.snapshots import capture
from tinspect.backends.snapshot_file import write_snapshot
from tinspect.model.address import AddressRange
from tinspect.model.crash import Crash
from tinspect.model.report import ProcessReport
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, SignalStackState


def crash_of(folder: Path, way: str) -> tuple[Crash, CrashProgram, ProcessReport]:
    program = start_crash(folder, way)
    try:
        report = report_of_core(program.die())
    finally:
        program.end()
    assert report.crash
    assert report.crash.tid == program.crasher.tid == report.threads[0].thread.tid
    return report.crash, program, report


@pytest.mark.parametrize(
    ("way", "signature", "words"),
    [
        ("null", ("SIGSEGV", "SEGV_MAPERR", "null-dereference"), "0x18, 24 bytes past null"),
        ("call", ("SIGSEGV", "SEGV_MAPERR", "null-dereference"), "null function pointer"),
        ("stray", ("SIGSEGV", "SEGV_MAPERR", "bad-access"), "0x10000018, where nothing is mapped"),
        ("canonical", ("SIGSEGV", "SI_KERNEL", "bad-pointer"), "no mapping can have"),
        ("abort", ("SIGABRT", "SI_TKILL", "abort"), "called abort."),
        ("assert", ("SIGABRT", "SI_TKILL", "abort"), 'Assertion `!is("assert")\' failed.'),
        ("divide", ("SIGFPE", "FPE_INTDIV", "arithmetic-error"), "division by zero"),
        ("illegal", ("SIGILL", "ILL_ILLOPN", "illegal-instruction"), "illegal operand"),
    ],
)
def test_the_verdict_names_what_happened(tmp_path: Path, way: str, signature: tuple[str, str, str], words: str) -> None:
    crash, _, report = crash_of(tmp_path, way)
    assert (crash.signal_name, crash.code_name, crash.verdict) == signature
    assert words in crash.message
    current = [entry for entry in crash.instructions if entry.is_current]
    registers = report.threads[0].thread.registers
    assert registers
    assert [entry.address for entry in current] == ([] if way == "call" else [registers.pc])
    for earlier, later in zip(crash.instructions, crash.instructions[1:], strict=False):
        assert earlier.address + len(earlier.data) == later.address


def test_an_overflow_names_the_guard_it_hit(tmp_path: Path) -> None:
    crash, program, _ = crash_of(tmp_path, "overflow")
    low = program.crasher.low
    assert crash.verdict == "stack-overflow"
    assert crash.address is not None
    assert low - 4096 <= crash.address < low
    assert f"guard {low - 4096:#x}-{low:#x}, {low - crash.address:,} bytes below the end of the stack" in crash.message


def test_an_overflow_of_the_main_thread_is_told_by_the_kernels_gap(tmp_path: Path) -> None:
    crash, program, report = crash_of(tmp_path, "main:overflow")
    assert crash.tid == program.pid
    assert crash.verdict == "stack-overflow"
    entry = report.threads[0]
    assert entry.guard
    assert entry.guard.kind is GuardKind.KERNEL_GAP
    assert entry.stack
    assert crash.address is not None
    # RLIMIT_STACK is not in the core: the fault lies below what was mapped, within the 256 pages that the kernel keeps free.
    assert 0 < entry.stack.range.low - crash.address <= 256 * 4096
    assert [finding.tid for finding in report.findings if finding.code == "stack-overflow"] == [program.pid]


def test_an_overflow_whose_handler_aborted_is_an_overflow(tmp_path: Path) -> None:
    crash, program, report = crash_of(tmp_path, "handled")
    assert (crash.signal, crash.verdict) == (signal.SIGABRT, "stack-overflow")
    assert f"end of its stack at {program.crasher.low:#x}" in crash.message
    stack = report.threads[0].signal_stack
    assert stack
    assert (stack.state, stack.source) == (SignalStackState.ONSTACK, Source.SIGFRAME)
    assert stack.range
    assert stack.range.size == 64 << 10


def check_stacks(report: ProcessReport, program: CrashProgram) -> None:
    for told in program.threads.values():
        entry = report.thread(told.tid)
        assert entry
        assert entry.pthread == told.pointer
        assert entry.stack
        assert entry.stack.range == AddressRange(told.low, told.high)
        assert entry.guard
        assert entry.guard.range == AddressRange(told.low - told.guard, told.low)
        assert entry.use
        assert entry.use.used
        assert entry.use.peak
        assert entry.use.used <= entry.use.peak < told.high - told.low
        assert entry.call_stack
        assert "block" in [frame.function for frame in entry.call_stack.frames]


@pytest.mark.parametrize("maker", ["kernel", "gcore"])
def test_bounds_and_guards_are_those_the_program_told(tmp_path: Path, maker: str) -> None:
    program = start_crash(tmp_path, "null" if maker == "kernel" else "wait", 3)
    try:
        check_stacks(report_of_core(program.die() if maker == "kernel" else gcore(program.pid, tmp_path)), program)
    finally:
        program.end()


@pytest.mark.parametrize(("flag", "compiler"), [("-static", "cc"), ("-O2", "musl-gcc"), ("-static", "musl-gcc")])
def test_bounds_of_static_and_musl_programs(tmp_path: Path, flag: str, compiler: str) -> None:
    program = start_crash(tmp_path, "null", 3, executable=build("core_crash", flag, compiler=compiler))
    try:
        report = report_of_core(program.die())
    finally:
        program.end()
    check_stacks(report, program)
    assert report.target.libc.name == ("musl" if compiler == "musl-gcc" else "glibc")
    assert report.crash
    assert report.crash.verdict == "null-dereference"


def test_a_core_without_its_executable_still_gives_bounds(tmp_path: Path) -> None:
    own = tmp_path / "gone"
    shutil.copy(build("core_crash"), own)
    program = start_crash(tmp_path, "null", executable=own)
    try:
        core = program.die()
        own.unlink()
        report = report_of_core(core)
    finally:
        program.end()
    assert any("no file for" in gap.why for gap in report.incomplete)
    for told in program.threads.values():
        entry = report.thread(told.tid)
        assert entry
        assert entry.stack
        assert entry.stack.range == AddressRange(told.low, told.high)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[CrashProgram]:
    running = start_crash(tmp_path, "wait", 3)
    yield running
    running.end()


def test_the_report_of_a_snapshot_is_the_live_one(program: CrashProgram, tmp_path: Path) -> None:
    snapshot = capture(program.pid)
    path = tmp_path / "snapshot"
    write_snapshot(snapshot, path)
    live = report_of_snapshot(snapshot)
    check_stacks(live, program)
    back = report_of_core(path)
    assert back.threads == live.threads
    assert replace(back, target=live.target) == live
    assert replace(back.target, kind="live") == live.target
