"""The threads of a core: what NT_PRSTATUS and its followers tell, joined with the snapshot's own note where there is one."""

from __future__ import annotations

from dataclasses import replace

from tinspect.arch import Architecture
from tinspect.errors import FormatError
from tinspect.formats.core_notes import CoreNotes, ThreadNote
from tinspect.model.gap import Gap
from tinspect.model.registers import RegisterSet
from tinspect.model.thread import Exactness, SignalStop, Thread


def build_threads(
    notes: CoreNotes, architecture: Architecture, noted: tuple[Thread, ...] | None
) -> tuple[tuple[Thread, ...], tuple[Gap, ...]]:
    """The threads in the core's order, which begins with the one that received the signal; and what could not be learnt.

    ``noted`` are the threads of a snapshot's note: they keep their order and facts, and get their registers from NT_PRSTATUS.
    """
    gaps: list[Gap] = []
    has_siginfo = any(note.siginfo for note in notes.threads)
    found = [
        replace(_thread(note, notes, architecture, gaps), signal=_signal(note, index == 0 and not has_siginfo))
        for index, note in enumerate(notes.threads)
    ]
    if noted is not None:
        return _joined(noted, {thread.tid: thread for thread in found}), tuple(gaps)
    if found:
        gaps.append(Gap("names", "Cores keep no names and states of threads, but for the main thread's name."))
    else:
        gaps.append(Gap("threads", "The core holds no thread: its notes are missing or damaged."))
    first = next((index for index, thread in enumerate(found) if thread.signal), 0)
    return (*found[first : first + 1], *found[:first], *found[first + 1 :]), tuple(gaps)


def _joined(noted: tuple[Thread, ...], found: dict[int, Thread]) -> tuple[Thread, ...]:
    unique = {thread.tid: thread for thread in reversed(noted)}
    return tuple(
        replace(
            thread,
            registers=found[tid].registers if tid in found else None,
            exactness=thread.exactness if tid in found else Exactness.UNSEEN,
        )
        for tid, thread in reversed(unique.items())
    )


def _thread(note: ThreadNote, notes: CoreNotes, architecture: Architecture, gaps: list[Gap]) -> Thread:
    registers: RegisterSet | None = None
    try:
        registers = architecture.registers.parse(note.registers)
    except FormatError as error:
        gaps.append(Gap("registers", f"The thread's registers were left out: {error.message}", note.tid))
    is_main = notes.process is not None and notes.process.pid == note.tid
    return Thread(
        tid=note.tid,
        name=notes.process.name if is_main and notes.process else "",
        is_main=is_main,
        registers=registers,
        thread_pointer=_thread_pointer(note, registers, architecture),
        exactness=Exactness.STOPPED if registers else Exactness.UNSEEN,
        cpu_time_us=note.cpu_time_us,
        blocked_signals=note.blocked_signals,
    )


def _thread_pointer(note: ThreadNote, registers: RegisterSet | None, architecture: Architecture) -> int | None:
    if architecture.thread_pointer and registers:
        return registers.get(architecture.thread_pointer)
    return note.thread_pointer


def _signal(note: ThreadNote, stands_for_all: bool) -> SignalStop | None:
    """The signal of this thread: the kernel writes pr_cursig into every thread but NT_SIGINFO only after the one that died; gdb
    writes an NT_SIGINFO after each, and pr_cursig 0 where the thread was merely stopped. In a core without any NT_SIGINFO the first
    thread, which ``stands_for_all``, is the one that died."""
    if not note.signal:
        return None
    if note.siginfo is not None and note.siginfo.number == note.signal:
        return SignalStop(note.signal, note.siginfo.code, note.siginfo.address)
    return SignalStop(note.signal) if stands_for_all else None
