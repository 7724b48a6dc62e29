"""The ptrace(2) requests of a supervisor, and waits that take nothing away from a tracee. For one thread: to the kernel, that is the
tracer, and its end releases every tracee without stopping it."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ptrace.binding import func as binding
from ptrace.error import PtraceError

from tinspect.errors import FormatError
from tinspect.formats.procfs import parse_stat
from tinspect.formats.siginfo import SIZE as SIGINFO_SIZE

# linux/ptrace.h; what python-ptrace 0.9.9 does not name.
_SEIZE, _LISTEN = 0x4206, 0x4208
EVENT_STOP: Final = 128
_WALL = 0x40000000

_THREADS = binding.PTRACE_O_TRACECLONE | binding.PTRACE_O_TRACEEXEC
_CHILDREN = binding.PTRACE_O_TRACEFORK | binding.PTRACE_O_TRACEVFORK


class Change(NamedTuple):
    """What became of a tracee. ``exit_status`` is None for a stop, else what a shell would say (128 + signal for a death by one);
    ``event`` is PTRACE_EVENT_*, 0 at a signal-delivery stop; ``signal`` the signal of the stop."""

    tid: int
    exit_status: int | None
    event: int = 0
    signal: int = 0


def seize(tid: int, children: bool) -> None:
    """Traces a thread, and all it creates from now on, without stopping it. Raises PermissionError, ProcessLookupError."""
    try:
        binding.ptrace(_SEIZE, tid, 0, _THREADS | (_CHILDREN if children else 0))
    except PtraceError as error:
        raise OSError(error.errno, os.strerror(error.errno)) from None


def next_change() -> Change | None:
    """The next change among tracees and children, left with the kernel (WNOWAIT): if this process is killed now, no signal is lost.
    None when there is none; the same one again until the thread goes on or forget() took it. Raises ChildProcessError."""
    found = _peek()
    while found is not None and found.si_code == os.CLD_STOPPED:
        # A child that is traced no more came to the stop it was given: known already.
        forget(found.si_pid)
        found = _peek()
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return Change(found.si_pid, found.si_status)
    if found.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
        return Change(found.si_pid, 128 + found.si_status)
    return Change(found.si_pid, None, found.si_status >> 8, found.si_status & 0x7F)


def _peek() -> os.waitid_result | None:
    return os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT | _WALL)


def forget(tid: int) -> None:
    """Takes the change of ``tid`` from the kernel."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, tid, os.WEXITED | os.WSTOPPED | os.WNOHANG | _WALL)


def go_on(tid: int, number: int = 0) -> None:
    """Lets a stopped tracee run, and take the signal ``number``."""
    with suppress(PtraceError):  # killed meanwhile
        binding.ptrace_cont(tid, number)


def listen(tid: int) -> None:
    """Leaves a tracee in its group-stop until SIGCONT."""
    with suppress(PtraceError):
        binding.ptrace(_LISTEN, tid)


def let_go(tid: int, number: int = 0) -> None:
    """Ends the tracing of a stopped tracee, which takes the signal ``number``."""
    with suppress(PtraceError):
        binding.ptrace_detach(tid, number)


def read_siginfo(tid: int) -> bytes:
    """siginfo_t of the signal a tracee is about to take; b"" when it was killed meanwhile."""
    buffer = ctypes.create_string_buffer(SIGINFO_SIZE)
    try:
        binding.ptrace(binding.PTRACE_GETSIGINFO, tid, 0, ctypes.addressof(buffer))
    except PtraceError:
        return b""
    return buffer.raw


def write_siginfo(tid: int, info: bytes) -> None:
    """Gives the signal a tracee is about to take another siginfo_t."""
    buffer = ctypes.create_string_buffer(info, SIGINFO_SIZE)
    with suppress(PtraceError):
        binding.ptrace(binding.PTRACE_SETSIGINFO, tid, 0, ctypes.addressof(buffer))


def send(pid: int, tid: int, number: int) -> None:
    """tgkill(2): a signal to one thread."""
    with suppress(ProcessLookupError, OSError):
        _tgkill(pid, tid, number)


def _tgkill(pid: int, tid: int, number: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.tgkill(pid, tid, number):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def tasks(pid: int) -> tuple[int, ...]:
    """The threads of a process; () when it is gone."""
    with suppress(OSError):
        return tuple(int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir())
    return ()


def state(tid: int) -> str:
    """The state of a thread, a word of STATE_WORDS; "" when it is gone."""
    with suppress(OSError, FormatError), open(f"/proc/{tid}/stat", "rb") as stream:
        return parse_stat(stream.read()).state
    return ""


def children(pid: int) -> tuple[int, ...]:
    """The processes that the threads of ``pid`` have forked and that live (proc_tid_children(5))."""
    found: list[int] = []
    for tid in tasks(pid):
        with suppress(OSError, ValueError):
            found += map(int, Path(f"/proc/{pid}/task/{tid}/children").read_text().split())
    return tuple(found)


# Signals whose default is not to end the process (signal(7)).
_HARMLESS = frozenset(
    (signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
)  # fmt: skip


def may_end(number: int) -> bool:
    """Whether the default action of a signal ends the process."""
    return number not in _HARMLESS
