"""Reports made by hand, and strategies for any report at all."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from tinspect.model.address import AddressRange
from tinspect.model.crash import Crash, Instruction
from tinspect.model.frame import CallStack, Frame, FrameSource
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock, Waiter, WaitKind
from tinspect.model.module import Module
from tinspect.model.reference import (
    Confidence,
    PlaceKind,
    ReferenceSource,
    ReferenceTarget,
    StackReference,
    Verdict,
)
from tinspect.model.registers import RegisterSet
from tinspect.model.report import (
    Finding,
    LibcInfo,
    MemoryRegion,
    ProcessLimits,
    ProcessReport,
    Severity,
    TargetInfo,
    ThreadReport,
)
from tinspect.model.scope import Loan, Scope
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source
from tinspect.model.stack import (
    CachedStack,
    GuardKind,
    GuardRegion,
    RunningOn,
    SignalStack,
    SignalStackState,
    StackBounds,
    StackUse,
)
from tinspect.model.text import printable
from tinspect.model.thread import Exactness, SignalStop, SyscallState, Thread
from tinspect.model.tls import ThreadTls, TlsBlock, TlsDestructor, TlsKey, TlsSlot, TlsVariable

KIB = 1 << 10
MIB = 1 << 20

HOSTILE_NAMES = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "[bold]markup[/bold]",
    "<script>alert(1)</script>",
    "right\u202eto left",
    "zero\u200bwidth",
    "line\nbreak\r",
    "\x9b31mC1",
    "tag\U000e0041",
    "\udcff\udc80bytes",
    "nul\0byte",
    "&amp;\"'>",
    "\u2028separator",
)

TARGET = TargetInfo("live", 4242, "/usr/bin/demo", "x86_64", LibcInfo("glibc", "2.36", "dwarf"), 812)


def thread_report(tid: int, name: str = "worker", **changes: Any) -> ThreadReport:
    """An ordinary thread of its own: 8 MiB of stack that end at an address of its own."""
    high = 0x7F12_0000_0000 - (tid % 100_000) * 16 * MIB
    stack = AddressRange(high - 8 * MIB, high)
    registers = RegisterSet(
        ("rax", "rip", "rsp"), (0xFFFFFFFFFFFFFE00, 0x7F13_0001_0012, high - 4 * KIB), 0x7F13_0001_0012, high - 4 * KIB
    )
    frames = (
        Frame(
            0,
            0x7F13_0001_0012,
            high - 4 * KIB,
            high - 3 * KIB,
            FrameSource.REGISTERS,
            "futex_wait",
            0x12,
            "/lib/libc.so.6",
        ),
        Frame(
            1,
            0x5555_0000_1234,
            high - 3 * KIB,
            high - KIB,
            FrameSource.CFI,
            "worker",
            0x34,
            "/usr/bin/demo",
            "demo.c",
            12,
            inlined=("spin",),
        ),
        Frame(2, 0x7F13_0002_0000, high - KIB, None, FrameSource.STACK_SCAN),
    )
    entry = ThreadReport(
        Thread(
            tid,
            name,
            "sleeping",
            registers=registers,
            thread_pointer=high - 2 * KIB,
            exactness=Exactness.STOPPED,
            syscall=SyscallState(202, (high, 0, 2)),
            cpu_time_us=1_500_000,
            seccomp=0,
            blocked_signals=0x10000,
        ),
        pthread=high - 2 * KIB,
        start_routine="worker",
        function="futex_wait",
        module="/lib/libc.so.6",
        stack=StackBounds(stack, Source.DESCRIPTOR),
        use=StackUse(4 * KIB, 132 * KIB, Source.REGISTERS, Source.PAGEMAP, RunningOn.STACK),
        guard=GuardRegion(
            GuardKind.MPROTECT, AddressRange(stack.low - 4 * KIB, stack.low), Source.PAGEMAP, 8 * MIB - 4 * KIB
        ),
        signal_stack=SignalStack(
            SignalStackState.ENABLED, AddressRange.sized(0x7F20_0000_0000 + tid * 0x20000, 64 * KIB), (), Source.BPF
        ),
        tls=ThreadTls(
            tid,
            (TlsSlot(3, 0x5555_1000_0000 + tid, "heap chunk of 64 bytes"),),
            (
                TlsBlock("/lib/libc.so.6", 1, AddressRange.sized(high - 2 * KIB, 128), Source.DESCRIPTOR),
                TlsBlock("late.so", 2, None, Source.DESCRIPTOR),
            ),
            (
                TlsVariable("errno", "/lib/libc.so.6", high - KIB, 4, b"\1\0\0\0", "int", "1"),
                TlsVariable("blob", "x.so", high, 32, bytes(32)),
            ),
            (TlsDestructor(0x5555_0000_4000, high - 64, "drop_in_place"),),
        ),
        call_stack=CallStack(tid, frames, "end of stack", True),
        waits_for=Waiter(WaitKind.FUTEX, Source.KERNEL, high, None, "futex", "0x7f12, FUTEX_WAIT_PRIVATE, 2, NULL"),
    )
    return replace(entry, **changes)


def sample_report() -> ProcessReport:
    """A small process that has a bit of everything: each section has rows, each kind of cell occurs."""
    main = thread_report(4242, "demo")
    main = replace(
        main,
        thread=replace(main.thread, is_main=True, state="running", signal=SignalStop(11, 2, 0x10)),
        waits_for=Waiter(WaitKind.JOIN, Source.UNWIND, 0x7F12_0000_0000, 4243),
    )
    deep = thread_report(
        4243,
        "deep",
        use=StackUse(8 * MIB - 100, 8 * MIB, Source.REGISTERS, Source.PAGEMAP, RunningOn.STACK),
        guard=GuardRegion(GuardKind.MADVISE, AddressRange(0x1000, 0x2000), Source.PAGEMAP, -16),
    )
    handler = thread_report(
        4244,
        "handler",
        use=StackUse(None, 8 * KIB, Source.UNKNOWN, Source.ZERO_SCAN, RunningOn.ALTSTACK),
        guard=GuardRegion(GuardKind.NONE, None, Source.DESCRIPTOR),
        signal_stack=SignalStack(
            SignalStackState.ONSTACK, AddressRange(0x3000, 0x13000), ("SS_ONSTACK",), Source.SIGFRAME
        ),
        waits_for=Waiter(WaitKind.MUTEX, Source.REGISTRY, 0x5555_2000_0000, 4242),
    )
    bare = ThreadReport(Thread(4245))
    loan = Loan(AddressRange.sized(0x7F11_FFFF_F000, 64), "shared", 4242, 0x7F11_FFFF_EFC0, None, 7, 0x5555_0000_1000)
    return ProcessReport(
        TARGET,
        (main, deep, handler, bare),
        signal_handlers=(
            SignalHandler(7, "SIGBUS", 0x5555_0000_6000, ("SA_SIGINFO", "SA_ONSTACK"), Source.BPF, "on_fault"),
            SignalHandler(11, "SIGSEGV", 0x5555_0000_6000, ("SA_SIGINFO", "SA_ONSTACK"), Source.BPF, "on_fault"),
            SignalHandler(15, "SIGTERM", 0x5555_0000_6100, (), Source.BPF),
        ),
        tls_keys=(
            TlsKey(3, 1, 0x5555_0000_5000, "free_context", "/usr/bin/demo", True),
            TlsKey(4, None, 0),
            TlsKey(5, 7, 0x7F30_0000_0000, None, None, False),
        ),
        references=(
            StackReference(
                4243,
                ReferenceSource(PlaceKind.REGISTER, register="rdi"),
                4242,
                0x7F11_FFFF_F000,
                ReferenceTarget("stack", 1, "main", 40, "counter"),
                Verdict.DECLARED,
                Confidence.HIGH,
                ("a register",),
                7,
                True,
            ),
            StackReference(
                4244,
                ReferenceSource(PlaceKind.STACK, 0x7F10_0000_0010, frame=2, function="worker"),
                None,
                0x7F0F_0000_0000,
                ReferenceTarget("cached_stack"),
                Verdict.DANGLING_THREAD,
                Confidence.MEDIUM,
                ("a slot of a live frame",),
            ),
            StackReference(
                None,
                ReferenceSource(PlaceKind.GLOBAL, 0x5555_3000_0000, symbol="list_head"),
                4243,
                0x7F11_0000_0000,
                ReferenceTarget("stack"),
                Verdict.DANGLING_FRAME,
                Confidence.LOW,
            ),
            StackReference(
                4243,
                ReferenceSource(PlaceKind.REGISTER, register="r14"),
                4242,
                0x7F11_FFFF_F100,
                ReferenceTarget("stack"),
                Verdict.LIVE,
                Confidence.LOW,
                origin="pthread_create leftover",
            ),
        ),
        scopes=(
            Scope(
                7,
                4242,
                None,
                "outer",
                "joining",
                2,
                False,
                False,
                (4243, 4244),
                (loan, replace(loan, mode="exclusive", borrower_tid=4244)),
                0x5555_0000_1000,
                0x7F11_FFFF_EFC0,
            ),
            Scope(8, 4243, 7, "", "body", 1, True, True, (9999,), ()),
            Scope(9, None, None, "lost", "body", 0, False, False, (), (), orphaned=True),
        ),
        locks=(
            Lock(0x5555_2000_0000, "mutex", Source.REGISTRY, "jobs", 4242, (4244,), True, held=True),
            Lock(0x5555_2000_0040, "rwlock", Source.REGISTRY),
        ),
        cached_stacks=(CachedStack(AddressRange.sized(0x7F0F_0000_0000, 8 * MIB), 4 * KIB, Source.DESCRIPTOR, 4100),),
        regions=(
            MemoryRegion(AddressRange(0x1000, 0x2000), "[ guard tid=4243 ]", "guard", 4243),
            MemoryRegion(AddressRange(0x2000, 0x9000), "[ stack tid=4243 ]", "stack", 4243),
        ),
        findings=(
            Finding(
                Severity.NOTE,
                "no-altstack",
                "A handler wants SA_ONSTACK, but thread 4243 has no alternate stack.",
                4243,
            ),
            Finding(Severity.ERROR, "stack-overflow", "Thread 4243 has run 16 bytes into its guard.", 4243),
        ),
        incomplete=(
            Gap("sigaltstack", "BPF is not permitted here; run as root.", 4245),
            Gap("tls_values", "the libc is not known."),
        ),
        modules=(
            Module(
                "libc.so.6",
                "/lib/libc.so.6",
                0x7F13_0000_0000,
                AddressRange.sized(0x7F13_0000_0000, 2 * MIB),
                "ab" * 20,
                tls_module_id=1,
            ),
            Module("gone.so", "/tmp/gone.so", 0x1000, AddressRange(0x1000, 0x3000), deleted=True),
        ),
        limits=ProcessLimits(8 * MIB, 3632, 1024),
        crash=Crash(
            4243,
            11,
            "SIGSEGV",
            "stack-overflow",
            "Thread 4243 ran into its guard.",
            2,
            "SEGV_ACCERR",
            0x1FF0,
            (Instruction(0x5555_0000_1230, b"\x48\x89\x04\x24", "mov qword ptr [rsp], rax", True),),
        ),
    )


def renamed(report: ProcessReport, name: str) -> ProcessReport:
    """The report with ``name`` in every place where the target's own text can stand."""

    def change(value: Any) -> Any:
        if isinstance(value, StrEnum):
            return value
        if isinstance(value, str):
            return name
        if isinstance(value, tuple):
            return tuple(change(item) for item in value)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: change(getattr(value, field.name)) for field in fields(value)})
        return value

    changed: ProcessReport = change(report)
    names = tuple(f"{name}{index}" for index in range(3))
    threads = tuple(
        replace(entry, thread=replace(entry.thread, registers=replace(entry.thread.registers, names=names)))
        if entry.thread.registers
        else entry
        for entry in changed.threads
    )
    return replace(changed, threads=threads)


def crowd(count: int) -> ProcessReport:
    """A main thread and ``count`` alike workers, one of which a finding warns of."""
    main = thread_report(1, "main")
    main = replace(main, thread=replace(main.thread, is_main=True))
    workers = tuple(thread_report(100 + index, f"worker-{index}") for index in range(count))
    return ProcessReport(TARGET, (main, *workers), findings=(Finding(Severity.WARNING, "near-guard", "Close.", 105),))


_TEXT = st.text(max_size=8).map(printable)
_NUMBER = st.integers(0, (1 << 64) - 1)
_RANGE = st.tuples(_NUMBER, _NUMBER).map(lambda pair: AddressRange(min(pair), max(pair)))
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: _NUMBER,
    str: _TEXT,
    bool: st.booleans(),
    bytes: st.binary(max_size=4),
    AddressRange: _RANGE,
    type(None): st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the model, by its annotations."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is RegisterSet:
        return st.builds(_registers, st.dictionaries(_TEXT, _NUMBER, max_size=3), _NUMBER, _NUMBER)
    if get_origin(kind) in (Union, UnionType):
        return st.one_of([values_of(part) for part in reversed(get_args(kind))])
    if get_origin(kind) is tuple:
        return st.lists(st.deferred(lambda: values_of(get_args(kind)[0])), max_size=2).map(tuple)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    hints = get_type_hints(kind)
    made = st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})
    return made.map(_consistent) if kind is ThreadReport else made


def _registers(values: dict[str, int], pc: int, sp: int) -> RegisterSet:
    return RegisterSet(tuple(values), tuple(values.values()), pc, sp)


def _consistent(entry: ThreadReport) -> ThreadReport:
    tid = entry.thread.tid
    return replace(
        entry,
        tls=replace(entry.tls, tid=tid) if entry.tls else None,
        call_stack=replace(entry.call_stack, tid=tid) if entry.call_stack else None,
    )


any_report: st.SearchStrategy[ProcessReport] = values_of(ProcessReport)
