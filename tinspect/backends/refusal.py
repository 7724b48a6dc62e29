"""Why a process may not be inspected, in one true sentence with the next step.

The kernel answers EPERM for many causes (ptrace(2), "Ptrace access mode checking"); this looks them up in the order in which the kernel
decides: no such process, ourselves, a kernel thread, a zombie, another tracer, another user, yama, namespaces and capabilities.
"""

from __future__ import annotations

import os
from pathlib import Path

from tinspect.errors import FormatError, TargetNotFound, TargetRefused, TinspectError
from tinspect.formats.procfs import TaskStatus, parse_status

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
_CAP_SYS_PTRACE = 1 << 19  # linux/capability.h


def _read_status(pid: int | str) -> TaskStatus | None:
    try:
        return parse_status(Path(f"/proc/{pid}/status").read_bytes())
    except (OSError, FormatError):
        return None


def explain_missing(pid: int) -> TargetNotFound:
    """The error for a pid that names no process."""
    return TargetNotFound(
        f"There is no process {pid}.", "List processes with: ps -e (a pid of a container has another number here)."
    )


def find_hindrance(pid: int) -> TinspectError | None:
    """What stands against inspecting ``pid`` that no right can help: gone, ourselves, a kernel thread, a zombie; else None."""
    status = _read_status(pid)
    if status is None:
        return explain_missing(pid)
    if status.tgid != pid:
        leader = status.tgid
        return TargetRefused(f"{pid} is a thread of process {leader}.", f"Run: tinspect attach {leader} --tid {pid}")
    if pid == os.getpid():
        return TargetRefused("tinspect cannot inspect itself.", "Give the pid of another process.")
    ended = status.state in {"zombie", "dead"}
    if status.is_kernel_thread or not (status.has_memory or ended or _has_executable(pid)):
        return TargetRefused(
            f"{pid} is a kernel thread: it has no user stack to inspect.", "Give the pid of a user process."
        )
    if ended and _others_are_gone(pid):
        return TargetRefused(
            f"Process {pid} has ended and only waits for its parent to notice (a zombie).",
            f"Its parent is process {status.parent}.",
        )
    return None


def explain_refusal(pid: int) -> TinspectError:
    """The cause of an EPERM for ``pid``, as far as it can be told from outside."""
    hindrance = find_hindrance(pid)
    if hindrance is not None:
        return hindrance
    status = _read_status(pid)
    if status is None:
        return explain_missing(pid)
    if status.tracer:
        tracer = _read_status(status.tracer)
        name = tracer.name if tracer is not None else "in another namespace"
        return TargetRefused(
            f"Process {pid} is already traced by process {status.tracer} ({name}), and a process has one tracer at a time.",
            f"Leave that debugger, or use: tinspect attach --passive {pid}",
        )
    return _explain_rights(pid, status)


def _explain_rights(pid: int, status: TaskStatus) -> TargetRefused:
    if may_trace_others():
        return _explain_despite_capability(pid)
    if status.uids and os.getuid() != status.uids[0]:
        return TargetRefused(
            f"Process {pid} belongs to user {status.uids[0]}, and you are user {os.getuid()} without CAP_SYS_PTRACE.",
            f"Run: sudo tinspect attach {pid}",
        )
    scope = yama_scope()
    if scope >= 3:
        return TargetRefused(
            "This kernel forbids tracing altogether (yama ptrace_scope is 3).",
            "Only a reboot changes that; take a core.",
        )
    if scope == 2:
        return TargetRefused(
            "Only CAP_SYS_PTRACE may trace here (yama ptrace_scope is 2).", f"Run: sudo tinspect attach {pid}"
        )
    if scope == 1:
        return TargetRefused(
            f"Process {pid} is not a descendant of this shell (yama ptrace_scope is 1).",
            f"Run: sudo tinspect attach {pid}, or as root: echo 0 > {_YAMA}",
        )
    return TargetRefused(
        f"Process {pid} may not be traced: it changed its user or group, gained capabilities, made itself undumpable (prctl(2)), "
        "or a security module forbids it.",
        f"Run: sudo tinspect attach {pid}",
    )


def _explain_despite_capability(pid: int) -> TargetRefused:
    try:
        foreign = Path(f"/proc/{pid}/ns/user").readlink() != Path("/proc/self/ns/user").readlink()
    except OSError:  # refused as well: then the namespace is not known, and not blamed
        foreign = False
    if foreign:
        return TargetRefused(
            f"Process {pid} lives in another user namespace, over which this container has no CAP_SYS_PTRACE.",
            "Run tinspect on the host, or in the process's own container.",
        )
    return TargetRefused(
        f"The kernel refused to trace process {pid} although CAP_SYS_PTRACE is there: a security module or a seccomp filter forbids it.",
        "In a container, start it with: --cap-add=SYS_PTRACE --security-opt seccomp=unconfined",
    )


def may_trace_others() -> bool:
    """Whether this process has CAP_SYS_PTRACE (capabilities(7)): root in a container often has not."""
    mine = _read_status("self")
    return mine is not None and bool((mine.effective_capabilities or 0) & _CAP_SYS_PTRACE)


def yama_scope() -> int:
    """kernel.yama.ptrace_scope; 0 where there is no yama."""
    try:
        return int(_YAMA.read_text())
    except (OSError, ValueError):
        return 0


def _has_executable(pid: int) -> bool:
    """Kernels before 6.8 have no Kthread field; there a kernel thread is a living process without an executable."""
    try:
        Path(f"/proc/{pid}/exe").readlink()
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


def _others_are_gone(pid: int) -> bool:
    """Whether no thread but the leader is left: a leader that ended first is a zombie, its process is not."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1
    except OSError:
        return True
