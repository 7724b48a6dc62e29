"""The notes of a core (core(5); include/uapi/linux/elfcore.h): threads, process, signal, files.

struct elf_prstatus is the same on every 64-bit architecture but for its register set, which the architecture's table reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from tinspect.errors import FormatError
from tinspect.formats.auxv import parse_auxv
from tinspect.formats.elf import Note
from tinspect.formats.nt_file import FileMapping, parse_nt_file
from tinspect.formats.procfs import decode_name
from tinspect.formats.siginfo import SignalInfo, parse_siginfo


class NoteType(IntEnum):
    """Types of the kernel's notes (elf.h)."""

    PRSTATUS = 1
    PRFPREG = 2
    PRPSINFO = 3
    AUXV = 6
    X86_XSTATE = 0x202
    ARM_TLS = 0x401
    FILE = 0x46494C45
    SIGINFO = 0x53494749


# pr_info (signo, code, errno), pr_cursig, pr_sigpend, pr_sighold, pr_pid … pr_sid, then four struct timeval.
_PRSTATUS = struct.Struct("<iiih2xQQiiii8q")
REGISTERS_OFFSET: Final = 112
# pr_state, pr_sname, pr_zomb, pr_nice, pr_flag, pr_uid, pr_gid, pr_pid … pr_sid, pr_fname, pr_psargs.
_PRPSINFO = struct.Struct("<bcbb4xQIIiiii16s80s")


@dataclass(frozen=True, slots=True)
class ThreadNote:
    """One NT_PRSTATUS with the notes that follow it.

    ``signal`` is pr_cursig: the kernel writes the signal that ended the process into every thread's. ``registers`` are the bytes of the
    register set. ``cpu_time_us`` is user + system time in µs. ``thread_pointer`` is that of NT_ARM_TLS.
    """

    tid: int
    signal: int
    blocked_signals: int
    cpu_time_us: int
    registers: bytes
    siginfo: SignalInfo | None = None
    thread_pointer: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessNote:
    """NT_PRPSINFO: pid, the name of the main thread (at most 15 bytes), and the start of its command line."""

    pid: int
    name: str
    arguments: str
    user: int = 0
    group: int = 0
    parent: int = 0


@dataclass(frozen=True, slots=True)
class CoreNotes:
    """Everything the notes tell. ``extra`` is the payload of tinspect's own note. ``problems`` are clear sentences."""

    threads: tuple[ThreadNote, ...] = ()
    process: ProcessNote | None = None
    auxv: dict[int, int] = field(default_factory=dict)
    files: tuple[FileMapping, ...] = ()
    extra: bytes | None = None
    problems: tuple[str, ...] = ()


class _Collector:
    """Gathers notes in order: a thread's own notes follow its NT_PRSTATUS."""

    def __init__(self) -> None:
        self.threads: dict[int, ThreadNote] = {}
        self.current: int | None = None
        self.problems: list[str] = []
        self.process: ProcessNote | None = None
        self.auxv: dict[int, int] = {}
        self.files: tuple[FileMapping, ...] = ()

    def take(self, note: Note) -> None:
        """One note of the kernel ("CORE" or "LINUX")."""
        match note.type:
            case NoteType.PRSTATUS:
                self._take_thread(parse_prstatus(note.data))
            case NoteType.PRPSINFO:
                self.process = self.process or parse_prpsinfo(note.data)
            case NoteType.AUXV:
                self.auxv = self.auxv or parse_auxv(bytes(note.data[:4096]))
            case NoteType.FILE:
                self.files = self.files or parse_nt_file(note.data)
            case NoteType.SIGINFO:
                self._amend(siginfo=parse_siginfo(note.data))
            case NoteType.ARM_TLS if len(note.data) >= 8:
                self._amend(thread_pointer=int.from_bytes(note.data[:8], "little"))

    def _take_thread(self, thread: ThreadNote) -> None:
        self.current = thread.tid
        if thread.tid in self.threads or thread.tid <= 0:
            self.current = None
            self.problems.append(f"A second or impossible thread of id {thread.tid} in the notes was left out.")
        else:
            self.threads[thread.tid] = thread

    def _amend(self, siginfo: SignalInfo | None = None, thread_pointer: int | None = None) -> None:
        if self.current is None:
            return
        thread = self.threads[self.current]
        self.threads[self.current] = replace(
            thread, siginfo=thread.siginfo or siginfo, thread_pointer=thread.thread_pointer or thread_pointer
        )


def collect_notes(notes: Iterable[Note], own_owner: str, own_type: int) -> CoreNotes:
    """The notes of a core by meaning. A damaged note is left out and told in ``problems``; none raises.

    ``own_owner`` and ``own_type`` are those of tinspect's note.
    """
    collector, extra = _Collector(), None
    for note in notes:
        if note.owner == own_owner and note.type == own_type:
            extra = extra or bytes(note.data)
        elif note.owner in ("CORE", "LINUX"):
            try:
                collector.take(note)
            except FormatError as error:
                collector.problems.append(f"A note of type {note.type:#x} was left out: {error.message}")
    return CoreNotes(
        tuple(collector.threads.values()),
        collector.process,
        collector.auxv,
        collector.files,
        extra,
        _summary(collector.problems),
    )


def _summary(problems: list[str], limit: int = 8) -> tuple[str, ...]:
    """The first problems, and a count of the others: a hostile core could have a million."""
    if len(problems) <= limit:
        return tuple(problems)
    return (*problems[:limit], f"{len(problems) - limit} more notes were left out in the same way.")


def parse_prstatus(data: bytes | memoryview) -> ThreadNote:
    """NT_PRSTATUS. Raises FormatError when it is too short to hold any register."""
    if len(data) <= REGISTERS_OFFSET:
        raise FormatError(f"a thread status of {len(data)} bytes.")
    fields = _PRSTATUS.unpack_from(data)
    seconds, micros = fields[10] + fields[12], fields[11] + fields[13]
    return ThreadNote(
        tid=fields[6],
        signal=fields[3],
        blocked_signals=fields[5],
        cpu_time_us=max(seconds * 1_000_000 + micros, 0),
        registers=bytes(data[REGISTERS_OFFSET : REGISTERS_OFFSET + 1024]),
    )


def pack_prstatus(thread: ThreadNote, process: ProcessNote, *, floating: bool = False) -> bytes:
    """The bytes of NT_PRSTATUS: registers, then pr_fpvalid (``floating``: NT_PRFPREG follows) and its padding."""
    time = divmod(thread.cpu_time_us, 1_000_000)
    code = thread.siginfo.code if thread.siginfo else 0
    head = _PRSTATUS.pack(
        thread.signal, code, 0, thread.signal, 0, thread.blocked_signals,
        thread.tid, process.parent, process.pid, process.pid, *time, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    return head + thread.registers + int(floating).to_bytes(8, "little")


def parse_prpsinfo(data: bytes | memoryview) -> ProcessNote:
    """NT_PRPSINFO. Raises FormatError when it is too short."""
    if len(data) < _PRPSINFO.size:
        raise FormatError(f"a process note of {len(data)} bytes.")
    fields = _PRPSINFO.unpack_from(data)
    name, arguments = (fields[index].split(b"\0", 1)[0] for index in (11, 12))
    return ProcessNote(
        fields[7], decode_name(name), decode_name(arguments).rstrip(" "), fields[5], fields[6], fields[8]
    )


def pack_prpsinfo(process: ProcessNote) -> bytes:
    """The bytes of NT_PRPSINFO; name and arguments are cut to what it holds."""
    name, arguments = (text.encode("utf-8", "surrogateescape") for text in (process.name, process.arguments))
    return _PRPSINFO.pack(
        0, b"R", 0, 0, 0, process.user, process.group, process.pid, process.parent, process.pid, process.pid,
        name[:15], arguments[:79],
    )  # fmt: skip
