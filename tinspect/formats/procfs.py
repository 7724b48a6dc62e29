"""Files of /proc/PID as values (proc_pid_maps(5), proc_pid_status(5), proc_pid_stat(5) …). Pure: bytes in, values out.

The target chooses thread names and paths, so both may hold any byte. They are decoded as UTF-8 with surrogateescape, which
loses nothing; views escape them before they reach a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tinspect.errors import FormatError
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping, MappingTable
from tinspect.model.thread import SyscallState

# The letters of fs/proc/array.c (Linux 6.18) task_state_array, with "t", "x", "K", "W" and "P" of older kernels.
STATE_WORDS: Final[dict[str, str]] = {
    "R": "running",
    "S": "sleeping",
    "D": "disk sleep",
    "T": "stopped",
    "t": "traced",
    "Z": "zombie",
    "X": "dead",
    "x": "dead",
    "I": "idle",
    "K": "wakekill",
    "W": "waking",
    "P": "parked",
}

# task->flags bit of a kernel thread (include/linux/sched.h).
_PF_KTHREAD = 0x00200000

_DELETED = " (deleted)"
_MAPS_LINE = re.compile(
    rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-][w-][x-][ps]) ([0-9a-f]{1,16}) ([0-9a-f]+:[0-9a-f]+) (\d{1,20})(?: +(.*))?"
)


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """/proc/PID/status or /proc/PID/task/TID/status. What the kernel did not write is None.

    ``state`` is a word of STATE_WORDS or "unknown". ``uids`` are real, effective, saved and filesystem user ids. ``namespace_tids``
    are the ids of the task from our pid namespace inwards. Signal masks have bit n−1 set for signal n. ``effective_capabilities`` is a
    mask of linux/capability.h; ``has_memory`` is False for kernel threads and for tasks that ended.
    """

    name: str
    state: str
    tgid: int | None = None
    tid: int | None = None
    parent: int | None = None
    tracer: int | None = None
    uids: tuple[int, ...] = ()
    namespace_tids: tuple[int, ...] = ()
    seccomp: int | None = None
    blocked_signals: int | None = None
    ignored_signals: int | None = None
    caught_signals: int | None = None
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    is_kernel_thread: bool | None = None
    effective_capabilities: int | None = None
    has_memory: bool = False


@dataclass(frozen=True, slots=True)
class TaskStat:
    """/proc/PID/stat or /proc/PID/task/TID/stat. Times are in clock ticks (sysconf(_SC_CLK_TCK))."""

    tid: int
    name: str
    state: str
    parent: int
    flags: int
    user_ticks: int
    system_ticks: int

    @property
    def is_kernel_thread(self) -> bool:
        """Whether it is a thread of the kernel (PF_KTHREAD)."""
        return bool(self.flags & _PF_KTHREAD)

    def cpu_time_us(self, ticks_per_second: int) -> int:
        """User plus system time in µs."""
        return (self.user_ticks + self.system_ticks) * 1_000_000 // ticks_per_second


@dataclass(frozen=True, slots=True)
class SyscallLine:
    """/proc/PID/task/TID/syscall. All None for a task on a CPU; ``call`` None for one that waits outside a system call."""

    call: SyscallState | None = None
    sp: int | None = None
    pc: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether the kernel said "running": it tells nothing of such a task."""
        return self.pc is None


def decode_name(data: bytes) -> str:
    """Bytes that the target chose, as text that gives the same bytes back (surrogateescape)."""
    return data.decode("utf-8", "surrogateescape")


def parse_maps(data: bytes) -> MappingTable:
    """/proc/PID/maps. Raises FormatError for a line that is none.

    The kernel writes a newline in a path as ``\\012`` and marks an unlinked file with " (deleted)"; neither can be told from a
    path that has these characters itself.
    """
    return MappingTable(_parse_mapping(line) for line in _lines(data))


def _parse_mapping(line: bytes) -> Mapping:
    match = _MAPS_LINE.fullmatch(line)
    if match is None:
        raise FormatError(f"a line of maps that is none: {line[:80]!r}.")
    low, high, permissions, offset, device, inode, rest = match.groups()
    if int(low, 16) > int(high, 16):
        raise FormatError(f"a mapping that ends before it starts: {line[:80]!r}.")
    name = decode_name((rest or b"").replace(b"\\012", b"\n"))
    deleted = name.endswith(_DELETED)
    return Mapping(
        AddressRange(int(low, 16), int(high, 16)),
        permissions.decode(),
        int(offset, 16),
        device.decode(),
        int(inode),
        name.removesuffix(_DELETED),
        deleted,
    )


def parse_status(data: bytes) -> TaskStatus:
    """/proc/PID/status. Raises FormatError when it holds no name and state."""
    fields = dict(_fields(data))
    if b"Name" not in fields or not fields.get(b"State"):
        raise FormatError("a task status without name or state.")
    return TaskStatus(
        name=decode_name(_unescaped(fields[b"Name"])),
        state=STATE_WORDS.get(fields[b"State"][:1].decode("latin-1"), "unknown"),
        tgid=_number(fields, b"Tgid"),
        tid=_number(fields, b"Pid"),
        parent=_number(fields, b"PPid"),
        tracer=_number(fields, b"TracerPid"),
        uids=_numbers(fields, b"Uid"),
        namespace_tids=_numbers(fields, b"NSpid"),
        seccomp=_number(fields, b"Seccomp"),
        blocked_signals=_number(fields, b"SigBlk", 16),
        ignored_signals=_number(fields, b"SigIgn", 16),
        caught_signals=_number(fields, b"SigCgt", 16),
        voluntary_switches=_number(fields, b"voluntary_ctxt_switches"),
        involuntary_switches=_number(fields, b"nonvoluntary_ctxt_switches"),
        effective_capabilities=_number(fields, b"CapEff", 16),
        has_memory=b"VmSize" in fields,
        is_kernel_thread=None if (kthread := _number(fields, b"Kthread")) is None else bool(kthread),
    )


def _fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """``Key:\\tvalue`` lines. The kernel escapes newlines in the name here, so each field is one line."""
    for line in _lines(data):
        key, colon, value = line.partition(b":")
        if colon:
            # Only the separator goes: a name may itself begin or end with blanks.
            yield key, value.removeprefix(b"\t")


def _unescaped(name: bytes) -> bytes:
    """Undoes proc_task_name()'s escapes: ``\\n`` and ``\\\\``."""
    return re.sub(rb"\\([n\\])", lambda found: b"\n" if found[1] == b"n" else b"\\", name)


def _number(fields: dict[bytes, bytes], key: bytes, base: int = 10) -> int | None:
    value = fields.get(key, b"").strip()
    try:
        return int(value, base) if value and len(value) <= 20 else None
    except ValueError:
        return None


def _numbers(fields: dict[bytes, bytes], key: bytes) -> tuple[int, ...]:
    words = fields.get(key, b"").split()
    return tuple(int(word) for word in words) if all(w.isdigit() and len(w) <= 20 for w in words) else ()


def parse_stat(data: bytes) -> TaskStat:
    """/proc/PID/stat. The name stands in the outermost parentheses and may hold any byte. Raises FormatError."""
    opening, closing = data.find(b"("), data.rfind(b")")
    words = data[closing + 1 :].split()
    if opening < 1 or closing < opening or len(words) < 20:
        raise FormatError("a task stat without name, or too short.")
    try:
        numbers = [int(word) for word in words[1:20]]
        tid = int(data[:opening])
    except ValueError as error:
        raise FormatError("a task stat with a field that is no number.") from error
    return TaskStat(
        tid=tid,
        name=decode_name(data[opening + 1 : closing]),
        state=STATE_WORDS.get(words[0].decode("latin-1"), "unknown"),
        parent=numbers[0],
        flags=numbers[5],
        user_ticks=numbers[10],
        system_ticks=numbers[11],
    )


def parse_syscall(data: bytes) -> SyscallLine:
    """/proc/PID/task/TID/syscall. Raises FormatError."""
    words = data.split()
    if words == [b"running"]:
        return SyscallLine()
    try:
        if len(words) == 3 and words[0] == b"-1":
            return SyscallLine(None, int(words[1], 16), int(words[2], 16))
        if len(words) == 9:
            arguments = tuple(int(word, 16) for word in words[1:7])
            return SyscallLine(SyscallState(int(words[0]), arguments), int(words[7], 16), int(words[8], 16))
    except ValueError as error:
        raise FormatError(f"a syscall line with a field that is no number: {data[:80]!r}.") from error
    raise FormatError(f"a syscall line that is none: {data[:80]!r}.")


def parse_limits(data: bytes) -> dict[str, tuple[int, int]]:
    """/proc/PID/limits: soft and hard value by name ("Max stack size" …); −1 is unlimited."""
    limits: dict[str, tuple[int, int]] = {}
    for line in _lines(data):
        match = re.match(rb"(Max [a-z ]+?) {2,}(unlimited|\d{1,20}) +(unlimited|\d{1,20})(?: |$)", line)
        if match is not None:
            soft, hard = (-1 if word == b"unlimited" else int(word) for word in match.group(2, 3))
            limits[match[1].decode()] = (soft, hard)
    return limits


def _lines(data: bytes) -> Iterator[bytes]:
    """Lines by newline alone: splitlines() would also split at the carriage returns of a hostile path."""
    return (line for line in data.split(b"\n") if line)
