"""Verdicts on a death without siginfo (QEMU's cores): what the registers prove is said, and no more."""

from __future__ import annotations

import signal

import pytest

from tests.support.made_up_process import NoFiles
from tinspect.analyses.context import Context
from tinspect.analyses.crash import analyze
from tinspect.arch.aarch64 import AARCH64
from tinspect.libc.protocol import LibcThreads
from tinspect.model.address import AddressRange
from tinspect.model.crash import Crash
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.module import ModuleTable
from tinspect.model.registers import RegisterSet
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, StackBounds
from tinspect.model.thread import SignalStop, Thread
from tinspect.symbols.images import ImageStore
from tinspect.symbols.table import open_symbols
from tinspect.target.memory import SegmentMemory
from tinspect.target.target import ProcessFacts, Snapshot, TargetKind

CODE = AddressRange(0x400000, 0x410000)
STACK = AddressRange(0x5500100000, 0x5500140000)
GUARD = AddressRange(STACK.low - 0x10000, STACK.low)


def crash_at(pc: int, sp: int, stop: SignalStop, *, guarded: bool = True) -> Crash:
    thread = Thread(7, registers=RegisterSet(("sp", "pc"), (sp, pc), pc, sp), signal=stop)
    files, modules = NoFiles(), ModuleTable(())
    snapshot = Snapshot(
        kind=TargetKind.CORE,
        architecture=AARCH64,
        facts=ProcessFacts(7, "x", {}),
        memory=SegmentMemory([]),
        mappings=MappingTable([Mapping(CODE, "r-xp"), Mapping(GUARD, "---p"), Mapping(STACK, "rw-p")]),
        modules=modules,
        files=files,
        threads=(thread,),
    )
    context = Context(snapshot, open_symbols(modules, ImageStore(files)), None, LibcThreads())
    guard = GuardRegion(GuardKind.MPROTECT, GUARD, Source.MAPS) if guarded else None
    crash = analyze(context, {7: StackBounds(STACK, Source.DESCRIPTOR)}, {7: guard} if guard else {})
    assert crash
    return crash


@pytest.mark.parametrize(
    ("pc", "sp", "guarded", "verdict", "words"),
    [
        (0x400100, STACK.low + 0x8000, True, "unknown", "no siginfo tells why, or which address"),
        (0x400100, STACK.low - 0x100, True, "stack-overflow", "its stack pointer 0x55000fff00 lies in its guard"),
        (0x400100, STACK.low - 0x100, False, "stack-overflow", "lies 256 bytes below its end"),
        (0x400100, STACK.low, True, "unknown", "no siginfo"),
        (0, STACK.low + 0x8000, True, "null-dereference", "called a null function pointer"),
        (STACK.low + 0x100, STACK.low + 0x8000, True, "bad-jump", "with permissions rw-"),
    ],
)
def test_without_siginfo(pc: int, sp: int, guarded: bool, verdict: str, words: str) -> None:
    crash = crash_at(pc, sp, SignalStop(signal.SIGSEGV), guarded=guarded)
    assert (crash.verdict, crash.code, crash.address) == (verdict, None, None)
    assert words in crash.message


def test_a_signal_that_was_sent_is_no_overflow() -> None:
    """kill -SEGV of a thread whose stack pointer happens to be low: siginfo says that it was sent."""
    crash = crash_at(0x400100, STACK.low - 0x100, SignalStop(signal.SIGSEGV, 0))
    assert crash.verdict == "unknown"
    assert "sent by kill" in crash.message
