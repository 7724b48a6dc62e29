"""The report: everything that was learnt of one target, as frozen values. ``formats.report_json`` gives its JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinspect.model.address import AddressRange
from tinspect.model.crash import Crash
from tinspect.model.frame import CallStack
from tinspect.model.gap import Gap
from tinspect.model.lock import Lock, Waiter
from tinspect.model.module import Module
from tinspect.model.reference import StackReference
from tinspect.model.scope import Scope
from tinspect.model.signals import SignalHandler
from tinspect.model.stack import CachedStack, GuardRegion, SignalStack, StackBounds, StackUse
from tinspect.model.thread import Thread
from tinspect.model.tls import ThreadTls, TlsKey


class Severity(StrEnum):
    """How much a finding matters: an error is wrong now, a warning is likely to go wrong, a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion. ``code`` is a stable word ("stack-overflow"); ``message`` one sentence with the evidence."""

    severity: Severity
    code: str
    message: str
    tid: int | None = None


@dataclass(frozen=True, slots=True)
class LibcInfo:
    """The target's libc: "glibc", "musl" or "none"; how its layout was learnt: "dwarf", "disassembly" or "table". Unknown is None."""

    name: str | None
    version: str | None = None
    layout_source: str | None = None


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What was inspected. ``kind`` is "live", "passive", "core" or "gdb"; ``pause_us`` how long it stood still, in µs."""

    kind: str
    pid: int | None
    executable: str
    architecture: str
    libc: LibcInfo
    pause_us: int | None = None


@dataclass(frozen=True, slots=True)
class ThreadReport:
    """Everything learnt of one thread."""

    thread: Thread
    pthread: int | None = None
    start_routine: str | None = None
    function: str | None = None
    module: str | None = None
    stack: StackBounds | None = None
    use: StackUse | None = None
    guard: GuardRegion | None = None
    signal_stack: SignalStack | None = None
    tls: ThreadTls | None = None
    call_stack: CallStack | None = None
    waits_for: Waiter | None = None


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """A labelled piece of the address space, for the process section and the map: "[ stack tid=7 ]", "[ guard tid=7 ]" …"""

    range: AddressRange
    label: str
    kind: str
    tid: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What bounds the threads of the process. Unknown is None; ``stack`` is RLIMIT_STACK's soft limit in bytes (−1: unlimited),
    ``signal_stack`` AT_MINSIGSTKSZ in bytes (getauxval(3)), ``keys`` PTHREAD_KEYS_MAX of its libc."""

    stack: int | None = None
    signal_stack: int | None = None
    keys: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The whole report. Tuples are sorted: threads as captured (main first), keys by number, findings by severity.

    ``signal_handlers`` is None where they could not be learnt."""

    target: TargetInfo
    threads: tuple[ThreadReport, ...]
    tls_keys: tuple[TlsKey, ...] = ()
    references: tuple[StackReference, ...] = ()
    scopes: tuple[Scope, ...] = ()
    locks: tuple[Lock, ...] = ()
    cached_stacks: tuple[CachedStack, ...] = ()
    regions: tuple[MemoryRegion, ...] = ()
    findings: tuple[Finding, ...] = ()
    incomplete: tuple[Gap, ...] = ()
    modules: tuple[Module, ...] = ()
    limits: ProcessLimits = ProcessLimits()
    crash: Crash | None = None
    signal_handlers: tuple[SignalHandler, ...] | None = None

    def thread(self, tid: int) -> ThreadReport | None:
        """The report of the thread ``tid``, or None."""
        return next((entry for entry in self.threads if entry.thread.tid == tid), None)
