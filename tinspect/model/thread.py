"""One thread as the kernel and the capture know it, before libc is asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinspect.model.registers import RegisterSet


class Exactness(StrEnum):
    """How the moment of capture binds registers and memory of a thread together."""

    STOPPED = "stopped"  # the thread stood still while both were read
    UNMOVED = "unmoved"  # not stopped, but proved not to have run between the two reads
    TORN = "torn"  # it ran meanwhile: registers and memory may not fit each other
    UNSEEN = "unseen"  # no registers could be had


@dataclass(frozen=True, slots=True)
class SyscallState:
    """The system call a thread waits in: its number and raw arguments (proc_pid_syscall(5))."""

    number: int
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SignalStop:
    """The signal a thread received last, in a core: number, code and fault address (None where siginfo has none)."""

    number: int
    code: int | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread of the target at the moment of capture.

    ``tid`` is the kernel's thread id as seen from here, ``namespace_tid`` the one inside the target's own pid namespace.
    ``state`` is a word of ``formats.procfs.STATE_WORDS`` ("running", "sleeping", "stopped", "zombie" …) or "unknown".
    ``thread_pointer`` is fs base or TPIDR_EL0. ``cpu_time_us`` is user + system time in µs.
    ``seccomp`` is the mode of /proc/PID/task/TID/status (0 none, 1 strict, 2 filter), None when unknown.
    """

    tid: int
    name: str = ""
    state: str = "unknown"
    is_main: bool = False
    namespace_tid: int | None = None
    registers: RegisterSet | None = None
    thread_pointer: int | None = None
    exactness: Exactness = Exactness.UNSEEN
    syscall: SyscallState | None = None
    signal: SignalStop | None = None
    cpu_time_us: int | None = None
    seccomp: int | None = None
    blocked_signals: int | None = None
