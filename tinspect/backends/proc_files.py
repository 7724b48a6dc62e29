"""Everything /proc tells of a process without stopping it: the part that the live and the passive backend share."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from tinspect.backends.refusal import explain_missing, explain_refusal
from tinspect.errors import FormatError, TargetLost
from tinspect.formats.auxv import parse_auxv
from tinspect.formats.procfs import (
    SyscallLine,
    TaskStatus,
    parse_limits,
    parse_maps,
    parse_stat,
    parse_status,
    parse_syscall,
)
from tinspect.model.mapping import MappingTable
from tinspect.model.thread import Thread
from tinspect.target.target import ProcessFacts

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcFiles:
    """The files of /proc/PID. Every method raises TargetLost when the process ended, TargetRefused when it may not be read.

    ``namespaced``: the process lives in a pid namespace of its own, so its threads have other ids there, which libc knows them by.
    """

    pid: int
    namespaced: bool = False

    def read(self, name: str) -> bytes:
        """The bytes of /proc/PID/``name``."""
        try:
            with open(f"/proc/{self.pid}/{name}", "rb", buffering=0) as file:  # no Path: three files a thread
                return file.readall()
        except PermissionError:
            raise explain_refusal(self.pid) from None
        except (FileNotFoundError, ProcessLookupError):
            raise TargetLost(f"Process {self.pid} ended while it was being looked at.") from None

    def tids(self) -> tuple[int, ...]:
        """The threads there are now, the leader first, then by number."""
        try:
            found = sorted(int(entry) for entry in os.listdir(f"/proc/{self.pid}/task"))  # noqa: PTH208 (10,000 Paths)
        except OSError:
            raise explain_missing(self.pid) from None
        return tuple(sorted(found, key=lambda tid: tid != self.pid))

    def mappings(self) -> MappingTable:
        """The mappings. A leader that ended first shows none of them, any other thread does."""
        for tid in (self.pid, *(t for t in self.tids() if t != self.pid)):
            try:
                table = parse_maps(self.read(f"task/{tid}/maps"))
            except TargetLost:
                continue
            if len(table):
                return table
        raise TargetLost(f"Process {self.pid} ended: it has no memory any more.")

    def status(self, tid: int | None = None) -> TaskStatus:
        """The status of the process, or of one thread."""
        return parse_status(self.read("status" if tid is None else f"task/{tid}/status"))

    def syscall(self, tid: int) -> SyscallLine:
        """What /proc tells of the call the thread waits in; nothing for a thread that runs, or when what it says cannot be understood."""
        try:
            return parse_syscall(self.read(f"task/{tid}/syscall"))
        except FormatError:
            return SyscallLine()

    def facts(self) -> ProcessFacts:
        """What is known of the process beside its memory."""
        status = self.status()
        inner = status.namespace_tids
        limits = parse_limits(self.read("limits"))
        return ProcessFacts(
            pid=self.pid,
            executable=self.executable(),
            auxv=parse_auxv(self.read("auxv")),
            stack_limit=limits.get("Max stack size", (None, None))[0],
            caught_signals=status.caught_signals,
            namespace_pid=inner[-1] if inner else None,
        )

    def executable(self) -> str:
        """The path of the executable inside the target's mount namespace, without " (deleted)"; "" when it cannot be told."""
        try:
            return os.readlink(f"/proc/{self.pid}/exe").removesuffix(" (deleted)")  # noqa: PTH115 (no Path: any bytes)
        except OSError:
            return ""

    def thread(self, tid: int) -> Thread | None:
        """Name, state and CPU time of one thread; None when it ended."""
        try:
            stat = parse_stat(self.read(f"task/{tid}/stat"))
        except (TargetLost, FormatError):
            return None
        thread = Thread(tid, stat.name, stat.state, tid == self.pid, cpu_time_us=stat.cpu_time_us(_TICKS))
        return self.with_status(thread) if self.namespaced else thread

    def with_status(self, thread: Thread) -> Thread:
        """The thread with the facts only its status tells: seccomp mode, blocked signals, its id in its own namespace."""
        try:
            status = self.status(thread.tid)
        except (TargetLost, FormatError):
            return thread
        inner = status.namespace_tids
        return replace(
            thread,
            seccomp=status.seccomp,
            blocked_signals=status.blocked_signals,
            namespace_tid=inner[-1] if inner else None,
        )
