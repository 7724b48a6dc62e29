"""Writes a Snapshot as an ELF core that gdb, eu-stack and tinspect open (docs/internals/snapshot-format.md)."""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from tinspect._version import VERSION as TOOL_VERSION
from tinspect.backends.snapshot_plan import module_ranges
from tinspect.backends.sparse_file import end_sparse, write_sparse
from tinspect.errors import MemoryUnreadable, TargetLost, TargetRefused, TinspectError, UnsupportedTarget
from tinspect.formats.auxv import pack_auxv
from tinspect.formats.core_headers import pack_note
from tinspect.formats.core_notes import NoteType, ProcessNote, ThreadNote, pack_prpsinfo, pack_prstatus
from tinspect.formats.core_writer import ALIGNMENT, OutputSegment, core_pieces
from tinspect.formats.elf_constants import PF_R, PF_W, PF_X
from tinspect.formats.nt_file import FileMapping, pack_nt_file
from tinspect.formats.siginfo import SignalInfo, pack_siginfo
from tinspect.formats.snapshot_note import (
    NOTE_OWNER,
    NOTE_TYPE,
    VERSION,
    NotedPages,
    NotedSignalStack,
    SnapshotNote,
    pack_snapshot_note,
)
from tinspect.formats.vector_notes import pack_vector_notes
from tinspect.model.address import AddressRange, merged
from tinspect.model.mapping import Mapping
from tinspect.model.thread import Thread
from tinspect.native import _inspect
from tinspect.target.target import Snapshot

# The kernel's own pages: their contents are of use only while the process runs, and some may not be read at all.
_KERNEL_PAGES = ("[vvar", "[vsyscall]")


def write_snapshot(snapshot: Snapshot, path: Path, *, full: bool = False, compress: str | None = None) -> int:
    """Writes ``snapshot`` to ``path``; the size of the file in bytes. What was captured is stored, and of modules what a file does
    not hold; ``full`` stores everything readable. ``compress`` is None or "zstd".

    Written beside and renamed when it is whole: nothing is left of a write that fails or is interrupted. Raises TargetRefused
    when the disk is full or the folder may not be written to, TargetLost when the process ended before all was read,
    UnsupportedTarget without zstandard.
    """
    pieces = core_pieces(
        snapshot.architecture.elf_machine,
        b"".join(_notes(snapshot)),
        tuple(_segments(snapshot, full)),
        snapshot.memory.read,
    )
    write = _writer(compress)
    try:
        return _write_beside(path, lambda stream: write(stream, pieces))
    except OSError as error:
        raise _explain(path, error) from None
    except MemoryUnreadable as error:
        raise TargetLost(f"The process ended before the snapshot was written: {error.message}") from None


def _write_beside(path: Path, write: Callable[[BinaryIO], None]) -> int:
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()  # what is still in our own buffer has no size yet
            size = os.fstat(stream.fileno()).st_size
        os.replace(beside, path)  # noqa: PTH105 (one call for both names)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
    return size


def _writer(compress: str | None) -> Callable[[BinaryIO, Iterable[bytes]], None]:
    if compress is None:
        return _write_plain
    try:
        import zstandard
    except ImportError:
        raise UnsupportedTarget(
            "The Python package zstandard is not installed.",
            "Install it with: pip install zstandard, or write it plain.",
        ) from None

    def write_zstd(stream: BinaryIO, pieces: Iterable[bytes]) -> None:
        with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(stream, closefd=False) as packed:
            for piece in pieces:
                packed.write(piece)

    return write_zstd


def _write_plain(stream: BinaryIO, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        write_sparse(stream, piece)
    end_sparse(stream)


def _explain(path: Path, error: OSError) -> TinspectError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return TargetRefused(f"The disk has no room for {path}: nothing was kept.", "Name a file on another disk.")
    return TargetRefused(f"{path} cannot be written: {error.strerror or error}.")


def _segments(snapshot: Snapshot, full: bool) -> Iterator[OutputSegment]:
    """Every mapping in order, cut into what is stored and what is only named."""
    kept = merged(module_ranges(snapshot))
    for mapping in snapshot.mappings:
        flags = PF_R * mapping.is_readable | PF_W * mapping.is_writable | PF_X * mapping.is_executable
        position = mapping.range.low
        for part in _stored(snapshot, mapping, kept, full):
            if position < part.low:
                yield OutputSegment(position, part.low - position, flags, False)
            yield OutputSegment(part.low, part.size, flags, True)
            position = part.high
        if position < mapping.range.high:
            yield OutputSegment(position, mapping.range.high - position, flags, False)


def _stored(
    snapshot: Snapshot, mapping: Mapping, kept: tuple[AddressRange, ...], full: bool
) -> tuple[AddressRange, ...]:
    """The parts of a mapping to store. Code and constants lie in files: only what ``module_ranges`` tells is kept of them."""
    if mapping.name.startswith(_KERNEL_PAGES):
        return ()
    held = snapshot.memory.readable(mapping.range)
    if not full and mapping.is_file and not mapping.is_writable:
        held = merged(part for one in held for other in kept if (part := one.intersection(other)))
    return tuple(whole for part in held if (whole := _aligned(part)).size)


def _aligned(part: AddressRange) -> AddressRange:
    """Whole words alone: at most seven bytes at each end of what was captured are given up."""
    low = -(-part.low // ALIGNMENT) * ALIGNMENT
    return AddressRange(low, max(part.high // ALIGNMENT * ALIGNMENT, low))


def _notes(snapshot: Snapshot) -> Iterator[bytes]:
    """NT_PRSTATUS and what follows it for each thread with registers, the process's notes after the first thread's as the kernel
    does, and our own at the end."""
    process = _process_note(snapshot)
    yield pack_note(b"CORE", NoteType.PRPSINFO, pack_prpsinfo(process))
    for thread in snapshot.threads:
        if thread.registers is not None:
            yield from _thread_notes(thread, process, snapshot)
    yield pack_note(b"CORE", NoteType.AUXV, pack_auxv(snapshot.facts.auxv))
    files = (FileMapping(m.range, m.offset, m.name, m.deleted) for m in snapshot.mappings if m.is_file and m.name)
    yield pack_note(b"CORE", NoteType.FILE, pack_nt_file(files))
    yield pack_note(NOTE_OWNER.encode(), NOTE_TYPE, pack_snapshot_note(_own_note(snapshot)))


def _process_note(snapshot: Snapshot) -> ProcessNote:
    pid = snapshot.facts.pid or (snapshot.threads[0].tid if snapshot.threads else 0)
    main = next((thread for thread in snapshot.threads if thread.is_main), None)
    name = main.name if main else snapshot.facts.executable.rpartition("/")[2]
    return ProcessNote(pid, name, snapshot.facts.executable)


def _thread_notes(thread: Thread, process: ProcessNote, snapshot: Snapshot) -> Iterator[bytes]:
    registers = thread.registers.values if thread.registers else ()
    signal = thread.signal
    info = SignalInfo(signal.number, signal.code or 0, signal.address) if signal else None
    note = ThreadNote(
        thread.tid,
        signal.number if signal else 0,
        thread.blocked_signals or 0,
        thread.cpu_time_us or 0,
        struct.pack(f"<{len(registers)}Q", *registers),
        info,
    )
    vectors = snapshot.vectors.get(thread.tid)
    yield pack_note(b"CORE", NoteType.PRSTATUS, pack_prstatus(note, process, floating=vectors is not None))
    if vectors is not None:
        # What is written was captured on this machine: its processor tells how.
        places = {number: (offset, size) for number, offset, size in _inspect.vector_components()}
        yield pack_vector_notes(vectors, places if snapshot.architecture.xsave else None)
    if info is not None:
        yield pack_note(b"CORE", NoteType.SIGINFO, pack_siginfo(info.number, info.code, info.address))
    if snapshot.architecture.thread_pointer is None and thread.thread_pointer is not None:
        yield pack_note(b"LINUX", NoteType.ARM_TLS, struct.pack("<Q", thread.thread_pointer))


def _own_note(snapshot: Snapshot) -> SnapshotNote:
    facts = snapshot.facts
    pages = snapshot.pages
    return SnapshotNote(
        version=VERSION,
        tool=TOOL_VERSION,
        kind=snapshot.kind.value,
        pid=facts.pid,
        executable=facts.executable,
        threads=tuple(replace(thread, registers=None) for thread in snapshot.threads),
        mappings=tuple(snapshot.mappings),
        modules=tuple(snapshot.modules),
        stack_limit=facts.stack_limit,
        caught_signals=facts.caught_signals,
        namespace_pid=facts.namespace_pid,
        pages=None if pages is None else tuple(NotedPages(run.range, run.flag.value) for run in pages),
        guard_flags_known=snapshot.guard_flags_known,
        signal_stacks=tuple(NotedSignalStack(tid, stack) for tid, stack in snapshot.signal_stacks.items()),
        pause_us=snapshot.pause_us,
        gaps=snapshot.gaps,
        signal_handlers=snapshot.signal_handlers,
    )
