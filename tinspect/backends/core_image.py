"""A core file taken apart: its architecture, notes and segments, made sound; nothing is concluded here yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.arch import Architecture, resolve_architecture
from tinspect.backends.core_file import MappedFile
from tinspect.errors import FormatError
from tinspect.formats.core_notes import CoreNotes, collect_notes
from tinspect.formats.core_segments import CoreSegment, SegmentTable, sound_segments
from tinspect.formats.elf import ElfImage, Note, parse_notes
from tinspect.formats.elf_constants import ET_CORE, PT_NOTE
from tinspect.formats.snapshot_note import NOTE_OWNER, NOTE_TYPE, SnapshotNote, parse_snapshot_note
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
    """Whether the file is an ELF core. Raises FormatError when it is no 64-bit little-endian ELF file at all."""
    try:
        return ElfImage(file.view).header.file_type == ET_CORE
    except FormatError as error:
        next_step = error.next_step or "Name a core file, and after it, if you have it, the program."
        raise FormatError(f"{file.name}: {error.message}", next_step) from None


def parse_core(file: MappedFile) -> CoreImage:
    """Takes a core apart. Raises FormatError when its headers cannot be read, UnsupportedTarget for a foreign architecture."""
    image = ElfImage(file.view)
    notes = collect_notes(_notes(image), NOTE_OWNER, NOTE_TYPE)
    table = sound_segments(image.segments, file.size)
    gaps = [Gap("core", problem) for problem in (*notes.problems, *table.problems)]
    gaps += _truncation(file, table)
    snapshot = None
    if notes.extra is not None:
        try:
            snapshot = parse_snapshot_note(notes.extra)
        except FormatError as error:
            gaps.append(Gap("core", f"What tinspect noted in this snapshot cannot be used: {error}"))
    return CoreImage(file, resolve_architecture(image.header.machine), notes, snapshot, table.segments, tuple(gaps))


def _notes(image: ElfImage) -> Iterator[Note]:
    """The notes of all note segments; a hostile core may name the same bytes in thousands of them, so each byte counts once."""
    end = 0
    for segment in sorted((entry for entry in image.segments if entry.type == PT_NOTE), key=lambda entry: entry.offset):
        if segment.offset >= end:
            end = segment.offset + segment.file_size
            yield from parse_notes(image.segment_data(segment))


def _truncation(file: MappedFile, table: SegmentTable) -> Iterator[Gap]:
    if file.trouble:
        yield Gap("core", f"{file.name} could not be unpacked whole: {file.trouble}")
    if table.missing:
        yield Gap(
            "memory",
            f"The core is cut off: {table.missing:,} bytes of memory that its header promises are not in the file. "
            "Look for a full disk, a core size limit (ulimit -c), or an interrupted copy.",
        )
