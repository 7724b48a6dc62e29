"""Cores of aarch64 programs, written by QEMU's user emulation, beside what the programs said of themselves.

Such a core has no NT_FILE, no ELF headers, no NT_SIGINFO, no thread pointers and no floating-point registers.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.aarch64 import (
    SYSROOT,
    DeadProgram,
    Emulated,
    await_futex,
    build_program,
    build_runtime,
    needs_aarch64,
    run_to_death,
)
from tests.support.reports import report_of_core
from tinspect.backends.core import open_core
from tinspect.backends.snapshot_file import write_snapshot
from tinspect.formats.elf import ElfImage
from tinspect.formats.symtab import parse_dynamic_symbols
from tinspect.libc.detect import detect_libc
from tinspect.libc.glibc.house import Glibc
from tinspect.libc.glibc.lists import StackLists
from tinspect.model.address import AddressRange
from tinspect.model.frame import FrameSource
from tinspect.model.lock import WaitKind
from tinspect.model.reference import Verdict
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, RunningOn, SignalStackState, StackBounds
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols

pytestmark = needs_aarch64

Json = dict[str, Any]
BLOCKED = 3
FEATURES = SYSROOT / "include/features.h"
# linux/futex.h, and how glibc's mutex (sysdeps/nptl/lowlevellock.h) and pthread_join use it.
FUTEX_WAIT_PRIVATE, FUTEX_WAIT_BITSET_CLOCK, CONTENDED = 0x80, 0x109, 2
GUARD = 64 << 10  # sysdeps/aarch64/nptl/pthreaddef.h: ARCH_MIN_GUARD_SIZE, whatever pthread_attr_setguardsize was told
BUILDS = {
    "dynamic": (),
    "static": ("-static",),
    "signed": ("-mbranch-protection=standard",),  # return addresses carry a signature (QEMU's default processor has it)
    "signed-static": ("-mbranch-protection=standard", "-O2", "-fomit-frame-pointer", "-static"),
}


def report_of(program: DeadProgram, executable: Path | None = None) -> ProcessReport:
    return report_of_core(program.core, executable or program.executable, SYSROOT)


@dataclass(frozen=True)
class Crashed:
    """core_crash.c after its death: (tid, pthread, low, high, local) of the threads that block, (tid, low, high) of the one that died."""

    program: DeadProgram
    main: int
    blocked: tuple[tuple[int, int, int, int, int], ...]
    crasher: tuple[int, int, int]

    @property
    def tids(self) -> set[int]:
        return {self.main, self.crasher[0], *(entry[0] for entry in self.blocked)}


def settle(emulated: Emulated) -> None:
    """Waits until all but the crasher stand where they stay: blocked on the mutex, and joining."""
    for line in emulated.lines:
        kind, tid, *_ = [*line.split(), ""]
        if kind == "thread":
            await_futex(emulated.process.pid, int(tid), FUTEX_WAIT_PRIVATE, CONTENDED)
        elif kind == "main":
            await_futex(emulated.process.pid, int(tid), FUTEX_WAIT_BITSET_CLOCK)


def crash(folder: Path, way: str, build: str = "dynamic") -> Crashed:
    before = (lambda _: None) if way.startswith("main:") else settle
    executable = build_program("core_crash", *BUILDS[build])
    program = run_to_death(folder, executable, (way, str(BLOCKED)), "ready", before=before)
    told = [line.split() for line in program.lines]
    blocked = [[int(word, 0) for word in words[1:7]] for words in told if words[0] == "thread"]
    [(tid, low, high)] = [[int(word, 0) for word in words[1:]] for words in told if words[0] == "crash"]
    [main] = [int(words[1]) for words in told if words[0] == "main"]
    assert len(blocked) == BLOCKED
    others = tuple((words[0], words[1], words[2], words[3], words[5]) for words in blocked)
    return Crashed(program, main, others, (tid, low, high))


@pytest.fixture(scope="module", params=BUILDS)
def crashed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Crashed, ProcessReport]:
    told = crash(tmp_path_factory.mktemp("crash"), "stray", request.param)
    return told, report_of(told.program)


Seen = tuple[Crashed, ProcessReport]


def thread_of(report: ProcessReport, tid: int) -> ThreadReport:
    found = report.thread(tid)
    assert found
    return found


def functions(entry: ThreadReport) -> list[str | None]:
    assert entry.call_stack
    return [frame.function for frame in entry.call_stack.frames]


def test_threads_and_their_registers(crashed: Seen) -> None:
    told, report = crashed
    assert (report.target.architecture, report.target.pid) == ("aarch64", told.main)
    assert {entry.thread.tid for entry in report.threads} == told.tids
    assert report.threads[0].thread.tid == told.crasher[0]
    for tid, _, low, high, local in told.blocked:
        registers = thread_of(report, tid).thread.registers
        assert registers
        assert len(registers.names) == 34
        assert low <= registers.sp <= local < high


def test_bounds_and_guards_are_those_the_program_told(crashed: Seen) -> None:
    told, report = crashed
    version = "".join(re.findall(r"#define\s+__GLIBC(?:_MINOR)?__\s+(\d+)", FEATURES.read_text())[0:2])
    assert (report.target.libc.name, (report.target.libc.version or "").replace(".", "")) == ("glibc", version)
    for tid, pointer, low, high, _ in told.blocked:
        entry = thread_of(report, tid)
        assert entry.pthread == pointer
        assert entry.stack
        assert (entry.stack.range, entry.stack.source) == (AddressRange(low, high), Source.DESCRIPTOR)
        assert entry.guard
        assert (entry.guard.kind, entry.guard.range) == (GuardKind.MPROTECT, AddressRange(low - GUARD, low))
        assert entry.use
        assert entry.use.used
        assert entry.use.peak
        assert entry.use.used <= entry.use.peak < high - low
    crasher = thread_of(report, told.crasher[0])
    assert crasher.stack
    assert crasher.stack.range == AddressRange(*told.crasher[1:])


def test_frames_and_the_instruction_at_the_pc(crashed: Seen) -> None:
    told, report = crashed
    dead = thread_of(report, told.crasher[0])
    assert functions(dead)[:2] == ["die", "crash"]
    for tid, *_ in told.blocked:
        assert "block" in functions(thread_of(report, tid))
    assert "main" in functions(thread_of(report, told.main))
    for entry in report.threads:
        assert entry.call_stack
        assert entry.call_stack.complete, entry.call_stack.ended
        assert {frame.source for frame in entry.call_stack.frames} <= {FrameSource.REGISTERS, FrameSource.CFI}
    assert report.crash
    [current] = [entry for entry in report.crash.instructions if entry.is_current]
    assert current.text.startswith("ldr w0, [x0")
    assert report.crash.address is None  # no NT_SIGINFO
    assert report.crash.message.endswith("no siginfo tells why, or which address.")


def test_thread_locals_and_waits(crashed: Seen) -> None:
    told, report = crashed
    for tid, *_ in told.blocked:
        entry = thread_of(report, tid)
        assert entry.tls
        [number] = [variable for variable in entry.tls.variables if variable.name == "own_number"]
        assert number.data == tid.to_bytes(8, "little")
        assert not [variable.name for variable in entry.tls.variables if variable.name.startswith(("$", "_TLS_"))]
        assert entry.waits_for
        assert (entry.waits_for.kind, entry.waits_for.owner_tid) == (WaitKind.MUTEX, told.main)
    joins = thread_of(report, told.main).waits_for
    assert joins
    assert (joins.kind, joins.owner_tid) == (WaitKind.JOIN, told.crasher[0])


def test_what_is_missing_is_told(crashed: Seen) -> None:
    _, report = crashed
    whys = " ".join(gap.why for gap in report.incomplete)
    for words in (
        "no build id in the target",
        "RLIMIT_STACK is not known",
        "tells the alternate signal stack of a thread in a signal handler alone",
    ):
        assert words in whys
    assert {gap.what for gap in report.incomplete} <= {"names", "modules", "tls_destructors", "stack", "sigaltstack"}


@pytest.mark.parametrize(
    ("way", "verdict", "words"),
    [
        ("overflow", "stack-overflow", "lies in its guard"),
        ("main:overflow", "stack-overflow", "bytes below its end"),
        ("call", "null-dereference", "called a null function pointer"),
        ("assert", "abort", 'Assertion `!is("assert")\' failed.'),
        ("illegal", "trap", "got SIGTRAP"),
    ],
)
def test_verdicts(tmp_path: Path, way: str, verdict: str, words: str) -> None:
    told = crash(tmp_path, way)
    found = report_of(told.program).crash
    assert found
    assert (found.tid, found.verdict) == (told.crasher[0], verdict)
    assert words in found.message


@pytest.mark.parametrize("build", ["dynamic", "signed-static"])
def test_a_handler_on_its_alternate_stack(tmp_path: Path, build: str) -> None:
    """The kernel's frame, as QEMU builds it, tells of the alternate stack and of the code that was interrupted."""
    told = crash(tmp_path, "handled", build)
    report = report_of(told.program)
    assert report.crash
    assert report.crash.verdict == "stack-overflow"
    dead = report.threads[0]
    names = functions(dead)
    assert names.index("give_up") < names.index("recurse")
    assert "crash" in names
    assert dead.call_stack
    [trampoline] = [frame for frame in dead.call_stack.frames if frame.is_signal_frame]
    assert trampoline.module is None  # a page of QEMU's own, whatever lies beside it
    assert dead.signal_stack
    assert (dead.signal_stack.state, dead.signal_stack.source) == (SignalStackState.ONSTACK, Source.SIGFRAME)
    assert dead.signal_stack.range
    assert dead.signal_stack.range.size == 64 << 10
    assert dead.use
    assert dead.use.running_on is RunningOn.ALTSTACK


def die_when_ready(folder: Path, name: str, *flags: str) -> tuple[list[Json], ProcessReport]:
    """What a program of JSON lines said of itself, and the report of its core: it is ended by SIGQUIT."""
    program = run_to_death(folder, build_program(name, *flags), (), '{"kind": "ready"', signal.SIGQUIT)
    return [json.loads(line) for line in program.lines], report_of(program)


@pytest.mark.parametrize("flags", [(), ("-static",)], ids=["dynamic", "static"])
def test_keys_and_values(tmp_path: Path, flags: tuple[str, ...]) -> None:
    said, report = die_when_ready(tmp_path, "keys", *flags)
    told = {line["key"]: line["destructor"] for line in said if line["kind"] == "key"}
    assert {key.key: key.destructor for key in report.tls_keys} == told
    assert {key.symbol for key in report.tls_keys if key.destructor} == {"forget", "release"}
    values = {(line["tid"], line["key"]): line["value"] for line in said if line["kind"] == "value"}
    assert len(values) > 200
    assert values == {
        (entry.thread.tid, slot.key): slot.value for entry in report.threads if entry.tls for slot in entry.tls.slots
    }


@pytest.mark.parametrize("flags", [("-DSTATIC_PROGRAM",), ("-DSTATIC_PROGRAM", "-static")], ids=["dynamic", "static"])
def test_thread_local_variables_lie_where_they_say(tmp_path: Path, flags: tuple[str, ...]) -> None:
    said, report = die_when_ready(tmp_path, "tls_vars", *flags)
    told = {(line["tid"], line["name"]): line["address"] for line in said if line["kind"] == "variable"}
    found = {
        (entry.thread.tid, variable.name): variable.address
        for entry in report.threads
        if entry.tls
        for variable in entry.tls.variables
    }
    assert len(told) == 8
    assert {key: found.get(key) for key in told} == told


def test_scopes_loans_and_pointers_of_the_demo(tmp_path: Path) -> None:
    program = run_to_death(tmp_path, build_runtime("demo") / "tinspect-demo", (), "{", signal.SIGQUIT)
    truth, report = json.loads(program.lines[-1]), report_of(program)
    for told, scope in zip(truth["scopes"], report.scopes, strict=True):
        assert (scope.id, scope.name, scope.owner_tid) == (told["id"], told["name"], told["owner_tid"])
        assert sorted(scope.threads) == sorted(told["threads"])
    loans = {(loan.borrower_tid, loan.range.low) for scope in report.scopes for loan in scope.borrows}
    assert loans == {(loan["borrower_tid"], int(loan["low"], 16)) for loan in truth["loans"]}
    verdicts = {(found.from_tid, found.value): found.verdict for found in report.references}
    assert verdicts[truth["stray"]["from_tid"], int(truth["stray"]["value"], 16)] is Verdict.LIVE
    kinds = {"frame": Verdict.DANGLING_FRAME, "thread": Verdict.DANGLING_THREAD}
    for told in truth["dangling"]:
        assert verdicts[told["from_tid"], int(told["value"], 16)] is kinds[told["kind"]]
    for told in truth["threads"]:
        if told["sigaltstack"]["state"] == "onstack":
            entry = thread_of(report, told["tid"])
            assert entry.signal_stack
            assert entry.signal_stack.range
            assert entry.signal_stack.range.low == int(told["sigaltstack"]["low"], 16)


def test_without_the_program_bounds_and_registers_are_left(tmp_path: Path) -> None:
    told = crash(tmp_path, "stray")
    report = report_of_core(told.program.core)
    assert {entry.thread.tid for entry in report.threads} == told.tids
    for tid, _, low, high, _ in told.blocked:
        entry = thread_of(report, tid)
        assert entry.thread.registers
        assert entry.stack
        assert (entry.stack.range, entry.stack.source) == (AddressRange(low, high), Source.INFERRED)
    assert any("no file for" in gap.why and "Name it" in gap.why for gap in report.incomplete)


def test_another_build_of_the_program_is_not_believed(tmp_path: Path) -> None:
    told = crash(tmp_path, "stray")
    report = report_of(told.program, build_program("keys"))
    assert not report.modules
    assert any("is not the one that ran" in gap.why for gap in report.incomplete)


def test_thread_pointers_lead_to_descriptors_without_any_list(tmp_path: Path) -> None:
    """The kernel's cores have NT_ARM_TLS, a snapshot too: there the descriptor lies right below the thread pointer (variant 1)."""
    told = crash(tmp_path, "stray")
    size = _pthread_bytes()
    pointers = {tid: pointer + size for tid, pointer, *_ in told.blocked}
    snapshot = tmp_path / "snapshot"
    with open_core(told.program.core, told.program.executable, SYSROOT) as backend:
        target = backend.target
        threads = tuple(replace(thread, thread_pointer=pointers.get(thread.tid)) for thread in target.threads)
        write_snapshot(replace(target, threads=threads), snapshot, full=True)
    with open_core(snapshot, told.program.executable, SYSROOT) as backend:
        target = backend.target
        assert {thread.tid: thread.thread_pointer for thread in target.threads if thread.thread_pointer} == pointers
        libc = detect_libc(target, open_symbols(target.modules, ImageStore(target.files)))
        assert isinstance(libc, Glibc)
        found = replace(libc, lists=StackLists()).read_threads(target).descriptors
    assert {tid: entry.address for tid, entry in found.items()} == {tid: pointer for tid, pointer, *_ in told.blocked}
    for tid, _, low, high, _ in told.blocked:
        assert found[tid].bounds == StackBounds(AddressRange(low, high), Source.DESCRIPTOR)
        assert found[tid].guard == AddressRange(low - GUARD, low)


def _pthread_bytes() -> int:
    """sizeof(struct pthread), as the cross libc itself describes it to debuggers."""
    image = ElfImage((SYSROOT / "lib/libc.so.6").read_bytes())
    symbols = parse_dynamic_symbols(image)
    symbol = symbols.find_named(b"_thread_db_sizeof_pthread") if symbols else None
    data = image.data_from(symbol.address) if symbol else None
    assert data
    return int.from_bytes(data[:4], "little")
