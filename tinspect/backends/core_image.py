"""A core file taken apart: its architecture, notes and segments, made sound; nothing is concluded here yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.arch import Architecture, resolve_architecture
from tinspect.backends.core_file import MappedFile
from tinspect.errors import FormatError
from tinspect.formats.core_elf import (
    ET_CORE,
    PT_NOTE,
    ProgramHeader,
    is_elf,
    parse_elf_header,
    parse_program_headers,
)
from tinspect.formats.core_notes import CoreNotes, collect_notes
from tinspect.formats.core_segments import CoreSegment, SegmentTable, sound_segments
from tinspect.formats.notes import Note, parse_notes
from tinspect.formats.snapshot_note import NOTE_NAME, NOTE_TYPE, SnapshotNote, parse_snapshot_note
from tinspect.model.gap import Gap


@dataclass(frozen=True, slots=True)
class CoreImage:
    """What a core file says. ``snapshot`` is tinspect's own note, where the file has one. ``gaps`` name what is damaged."""

    file: MappedFile
    architecture: Architecture
    notes: CoreNotes
    snapshot: SnapshotNote | None
    segments: tuple[CoreSegment, ...]
    gaps: tuple[Gap, ...]


def is_core(file: MappedFile) -> bool:
    """Whether the file is an ELF core. Raises FormatError when it is no ELF file at all, UnsupportedTarget for a 32-bit one."""
    if not is_elf(file.view[:4]):
        raise FormatError(
            f"{file.name} is no ELF file.", "Name a core file, and after it, if you have it, the program."
        )
    return parse_elf_header(file.view).type == ET_CORE


def parse_core(file: MappedFile) -> CoreImage:
    """Takes a core apart. Raises FormatError when not even its header can be read, UnsupportedTarget for a foreign architecture."""
    header = parse_elf_header(file.view)
    headers = parse_program_headers(file.view, header)
    notes = collect_notes(_notes(file, headers), NOTE_NAME, NOTE_TYPE)
    table = sound_segments(headers, file.size)
    gaps = [Gap("core", problem) for problem in (*notes.problems, *table.problems)]
    if len(headers) < header.table_count:
        gaps.append(
            Gap(
                "core", f"The core ends within its table of segments: {len(headers)} of {header.table_count} are there."
            )
        )
    gaps += _truncation(file, table)
    snapshot = None
    if notes.extra is not None:
        try:
            snapshot = parse_snapshot_note(notes.extra)
        except FormatError as error:
            gaps.append(Gap("core", f"What tinspect noted in this snapshot cannot be used: {error}"))
    return CoreImage(file, resolve_architecture(header.machine), notes, snapshot, table.segments, tuple(gaps))


def _notes(file: MappedFile, headers: tuple[ProgramHeader, ...]) -> Iterator[Note]:
    """The notes of all note segments; a hostile core may name the same bytes in thousands of them, so each file range counts once."""
    end = 0
    for header in sorted((entry for entry in headers if entry.type == PT_NOTE), key=lambda entry: entry.offset):
        if header.offset >= end:
            end = header.offset + header.file_size
            yield from parse_notes(file.view[header.offset : end])


def _truncation(file: MappedFile, table: SegmentTable) -> Iterator[Gap]:
    if file.trouble:
        yield Gap("core", f"{file.name} could not be unpacked whole: {file.trouble}")
    if table.missing:
        yield Gap(
            "memory",
            f"The core is cut off: {table.missing:,} bytes of memory that its header promises are not in the file. "
            "Look for a full disk, a core size limit (ulimit -c), or an interrupted copy.",
        )
