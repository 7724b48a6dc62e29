"""A running process captured without stopping it, without one signal and without one EINTR.

Registers come from the kernel (BPF task iterator, or /proc/PID/task/TID/syscall), then memory, then the kernel is asked again. A thread
that was off the CPU both times, with the same count of context switches, has not run in between: its registers and its memory are of
one moment, exactly. One that ran is read again a few times, then shown without what could not be had.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tinspect.arch import Architecture
from tinspect.backends.kernel_actions import SignalHandlers, read_signal_handlers
from tinspect.backends.kernel_tasks import read_kernel_tasks
from tinspect.backends.page_runs import read_page_runs, stack_areas
from tinspect.backends.plan_reader import (
    joined,
    list_pointers,
    process_parts,
    read_touched,
    read_whole,
    stack_parts,
    thread_parts,
)
from tinspect.backends.proc_files import ProcFiles
from tinspect.backends.process_memory import ProcessScanner, UnchangingMemory
from tinspect.backends.running_process import RunningProcess
from tinspect.backends.slot_reader import read_slots
from tinspect.backends.stopping import Stop, StopOptions, stop_and_copy
from tinspect.errors import TargetLost, TargetRefused
from tinspect.formats.signal_stack import signal_stack_of
from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.registers import RegisterSet
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Exactness, SyscallState, Thread
from tinspect.native import _inspect
from tinspect.target.memory import LayeredMemory, SegmentMemory
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Snapshot

# A thread that runs now may wait a moment later; one that still runs after these looks is busy.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Sight:
    """One thread as it was seen at one instant. ``switches`` None: it ran, or cannot be told not to have."""

    switches: int | None
    registers: RegisterSet | None
    thread_pointer: int | None = None
    syscall: SyscallState | None = None
    signal_stack: SignalStack | None = None


class Observer(Protocol):
    """A way to see every thread's registers and context switches without stopping it."""

    def look(self) -> Mapping[int, Sight]:
        """All threads now, by tid. Raises TargetRefused, TargetLost."""
        ...

    def signal_handlers(self) -> SignalHandlers:
        """The process's signal handlers, or None and why they could not be learnt."""
        ...


class KernelObserver:
    """By the BPF task iterator: all registers, thread pointers and alternate stacks."""

    def __init__(self, pid: int, architecture: Architecture) -> None:
        self._pid = pid
        self._architecture = architecture

    def look(self) -> Mapping[int, Sight]:
        """See Observer."""
        return {
            task.tid: Sight(
                None if task.on_cpu else task.switches,
                None if task.on_cpu else task.registers,
                None if task.on_cpu else task.thread_pointer,
                None,
                signal_stack_of(
                    task.altstack_low,
                    task.altstack_size,
                    task.altstack_flags,
                    task.registers.sp if task.registers is not None and not task.on_cpu else None,
                    Source.BPF,
                ),
            )
            for task in read_kernel_tasks(self._pid, self._architecture, registers=True)
        }

    def signal_handlers(self) -> SignalHandlers:
        """See Observer."""
        return read_signal_handlers(self._pid)


class ProcObserver:
    """By /proc/PID/task/TID/syscall and status: pc, sp and the system call of threads that wait; no other register."""

    def __init__(self, proc: ProcFiles, architecture: Architecture) -> None:
        self._proc = proc
        self._layout = architecture.registers

    def look(self) -> Mapping[int, Sight]:
        """See Observer."""
        return {tid: self._look_at(tid) for tid in self._proc.tids()}

    def signal_handlers(self) -> SignalHandlers:
        """See Observer."""
        return None, ()

    def _look_at(self, tid: int) -> Sight:
        try:
            before = self._switches(tid)
            line = self._proc.syscall(tid)
            after = self._switches(tid)
        except (TargetLost, TargetRefused):
            return Sight(None, None)
        if line.pc is None or line.sp is None or before is None or before != after:
            return Sight(None, None)
        registers = RegisterSet((self._layout.pc, self._layout.sp), (line.pc, line.sp), line.pc, line.sp)
        return Sight(before, registers, None, line.call)

    def _switches(self, tid: int) -> int | None:
        status = self._proc.status(tid)
        if status.voluntary_switches is None or status.involuntary_switches is None:
            return None
        return status.voluntary_switches + status.involuntary_switches


class PassiveBackend:
    """Fulfils ``target.Backend``; nothing in it stops the target."""

    def __init__(
        self, process: RunningProcess, observer: Observer, missing: tuple[Gap, ...] = (), stop_busy: int | None = None
    ) -> None:
        """``stop_busy`` stops the threads that never rest, waiting so many ms for them; None stops nothing at all."""
        self._process = process
        self._observer = observer
        self._missing = missing
        self._stop_busy = stop_busy

    @property
    def target(self) -> RunningProcess:
        """The process as it runs."""
        return self._process

    @property
    def scanner(self) -> ProcessScanner:
        """Searches the memory of the process as it runs."""
        return ProcessScanner(self._process.pid)

    def close(self) -> None:
        """Nothing is held."""

    def capture(self, plan: CapturePlan) -> Snapshot:
        """The process read without a stop. Raises TargetLost, TargetRefused."""
        process = self._process
        try:
            settled, last, rounds = self._settle(plan)
            stopped = self._stop(plan, last.keys() - settled.keys())
            shared = joined(read_whole(process.pid, process_parts(plan, process.memory)))
            slots = joined(read_slots(plan.slot_groups, partial(_inspect.read_ranges, process.pid)))
        except OSError as error:
            raise TargetLost(f"Process {process.pid} could not be read: {error.strerror}.") from None
        # A layer that holds nothing would be asked in vain for every word.
        layers = [layer for layer in (slots, stopped.memory, *rounds) if len(layer)]
        captured = LayeredMemory([*layers, shared])
        threads = tuple(self._threads(settled, last, {thread.tid: thread for thread in stopped.threads}))
        busy = [thread.tid for thread in threads if thread.exactness is Exactness.TORN]
        stacks = {tid: sight.signal_stack for tid, sight in last.items() if sight.signal_stack is not None}
        # Threads without a known thread pointer are found by libc's lists.
        listed = [Thread(0, thread_pointer=pointer) for pointer in list_pointers(plan, captured)]
        handlers, handler_gaps = self._observer.signal_handlers()
        areas = stack_areas((*threads, *listed), captured, plan.stack_rule, process.mappings, stacks.values())
        pages = read_page_runs(process.pid, areas)
        return Snapshot(
            kind=process.kind,
            architecture=process.architecture,
            facts=process.facts,
            memory=LayeredMemory([captured, UnchangingMemory(process.memory, process.mappings)]),
            mappings=process.mappings,
            modules=process.modules,
            files=process.files,
            threads=threads,
            pages=pages.runs,
            guard_flags_known=pages.shows_guards,
            signal_stacks=stacks,
            pause_us=stopped.pause_ns // 1000,
            gaps=(*self._missing, *stopped.gaps, *(_busy_gap(tid) for tid in busy), *handler_gaps, *pages.gaps),
            signal_handlers=handlers,
            stood_still=False,
        )

    def _settle(self, plan: CapturePlan) -> tuple[Mapping[int, Sight], Mapping[int, Sight], list[SegmentMemory]]:
        """Reads the threads that wait; those that ran meanwhile again, a bounded number of times.

        Gives the sights that were proved, all threads as seen last, and what was read, the latest first. Threads have stacks and
        descriptors of their own, so no round holds older bytes of a thread that a later one settled.
        """
        settled: dict[int, Sight] = {}
        rounds: list[SegmentMemory] = []
        before = self._observer.look()
        for attempt in range(_ATTEMPTS):
            time.sleep(0.001 * attempt)  # a busy thread gets the time to come to a wait
            waiting = {tid: sight for tid, sight in before.items() if tid not in settled and sight.switches is not None}
            areas = [area for tid, sight in waiting.items() for area in self._areas(tid, sight, plan)]
            rounds.insert(0, joined(read_touched(self._process.pid, areas)))
            before = self._observer.look()
            settled |= {t: s for t, s in waiting.items() if t in before and before[t].switches == s.switches}
            if before.keys() <= settled.keys():
                break
        return {tid: sight for tid, sight in settled.items() if tid in before}, before, rounds

    def _stop(self, plan: CapturePlan, busy: AbstractSet[int]) -> Stop:
        """The threads that would not rest, stopped for once; nothing when nobody asked for that."""
        if self._stop_busy is None or not busy:
            return Stop((), SegmentMemory(()), 0, ())
        return stop_and_copy(self._process, plan, StopOptions(frozenset(busy), self._stop_busy))

    def _areas(self, tid: int, sight: Sight, plan: CapturePlan) -> Iterable[AddressRange]:
        process = self._process
        thread = Thread(tid, registers=sight.registers, thread_pointer=sight.thread_pointer)
        yield from thread_parts(thread, plan, process.memory)
        yield from stack_parts(thread, plan, process.memory, process.mappings, process.architecture.red_zone)

    def _threads(
        self, settled: Mapping[int, Sight], last: Mapping[int, Sight], stopped: Mapping[int, Thread]
    ) -> Iterable[Thread]:
        known = {thread.tid: thread for thread in self._process.threads}
        for tid in sorted(last, key=lambda tid: (tid != self._process.pid, tid)):
            thread = known.get(tid) or self._process.proc.thread(tid)
            if thread is None:
                continue
            sight = settled.get(tid)
            if tid in stopped:
                yield stopped[tid]
            elif sight is None:
                yield replace(thread, thread_pointer=last[tid].thread_pointer, exactness=Exactness.TORN)
            else:
                yield replace(
                    thread,
                    registers=sight.registers,
                    thread_pointer=sight.thread_pointer,
                    syscall=sight.syscall,
                    exactness=Exactness.UNMOVED,
                )


def _busy_gap(tid: int) -> Gap:
    why = "it ran whenever it was looked at: its registers, frames and used stack are not known without a stop."
    return Gap("registers", why, tid)


def open_passive(process: RunningProcess, stop_busy: int | None = None) -> PassiveBackend:
    """The best observer the rights allow: the kernel's own view, else /proc, and then it says what is missing. See PassiveBackend."""
    observer = KernelObserver(process.pid, process.architecture)
    try:
        observer.look()
    except TargetRefused as error:
        why = f"registers other than pc and sp are not known, and so some frames are not. {error}"
        missing = (Gap("registers", why), Gap("sigaltstack", str(error)))
        return PassiveBackend(process, ProcObserver(process.proc, process.architecture), missing, stop_busy)
    return PassiveBackend(process, observer, (), stop_busy)
