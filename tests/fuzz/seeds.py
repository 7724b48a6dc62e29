"""Seeds: small real cores and the pieces of them, made by running a program; nothing of them is kept in the repository."""

from __future__ import annotations

import gzip
import json
import lzma
import struct
from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import zstandard

from tests.support.core_maker import build, start_crash
from tests.support.snapshots import capture
from tinspect.backends.snapshot_file import write_snapshot
from tinspect.formats.core_writer import OutputSegment, core_pieces
from tinspect.formats.elf import ElfImage, parse_notes
from tinspect.formats.elf_constants import PT_LOAD, PT_NOTE
from tinspect.formats.snapshot_note import NOTE_OWNER

_PIECE = 1024


def make_seeds(folder: Path) -> None:
    """FOLDER/TARGET/* for every target that gains by it."""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    program = start_crash(work, "null", 1, filter_mask=0)
    snapshot = work / "snapshot"
    try:
        write_snapshot(capture(program.pid), snapshot)
        proc = {name: Path(f"/proc/{program.pid}/{name}").read_bytes() for name in _PROC}
        bare = program.die().read_bytes()
    finally:
        program.end()
    small = _pruned(snapshot.read_bytes())
    for target, seeds in _seeds(bare, small, proc).items():
        (folder / target).mkdir(exist_ok=True)
        for index, seed in enumerate(seeds):
            (folder / target / f"seed{index}").write_bytes(seed)


_PROC = ("maps", "status", "stat", "syscall", "limits")


def _seeds(bare: bytes, small: bytes, proc: dict[str, bytes]) -> dict[str, list[bytes]]:
    image = ElfImage(small)
    notes = next(bytes(image.segment_data(segment)) for segment in image.segments if segment.type == PT_NOTE)
    single = [bytes(note.data) for note in parse_notes(memoryview(notes))]
    own = next(bytes(note.data) for note in parse_notes(memoryview(notes)) if note.owner == NOTE_OWNER)
    tiny = build("core_guarded", "-s").read_bytes()
    return {
        "core": [bare, small],
        "report": [bare, small],
        "notes": [notes],
        "small_notes": single,
        "snapshot_note": [own],
        "report_document": [json.dumps({"schema": "tinspect.report/1", "target": {}, "threads": []}).encode()],
        "proc_files": list(proc.values()),
        "compressed": [
            gzip.compress(own), lzma.compress(own), zstandard.ZstdCompressor().compress(own), lz4.frame.compress(own)
        ],
        "link_map": [struct.pack("<i4xQ24xQQQQQ", 1, 0x10028, 0, 0x10000, 0x10010, 0x10028, 0)],
        "elf": [tiny],
        "call_frames": [tiny],
        "expression": [bytes([0x77, 8, 0x80, 0, 0x3F, 0x1A, 0x3B, 0x2A, 0x33, 0x24, 0x22])],
        "ranges": [struct.pack("<IHIBB4xQQQQ", 44, 2, 0, 8, 0, 0x1000, 0x100, 0, 0)],
        "scope_registry": [b"TINSPREG" + bytes(200)],
    }  # fmt: skip


def _pruned(data: bytes) -> bytes:
    """The snapshot with at most a KiB of each stored segment: small enough to be mutated with effect."""
    image = ElfImage(data)
    notes = b"".join(bytes(image.segment_data(segment)) for segment in image.segments if segment.type == PT_NOTE)
    loads = [segment for segment in image.segments if segment.type == PT_LOAD]
    stored = {segment.address: segment for segment in loads if segment.file_size}

    def read(address: int, size: int) -> bytes:
        segment = stored[address]
        return bytes(image.data[segment.offset : segment.offset + size])

    def pieces() -> Iterator[OutputSegment]:
        for segment in loads:
            kept = min(segment.file_size, _PIECE)
            if kept:
                yield OutputSegment(segment.address, kept, segment.flags, True)
            if segment.memory_size > kept:
                yield OutputSegment(segment.address + kept, segment.memory_size - kept, segment.flags, False)

    return b"".join(core_pieces(image.header.machine, notes, tuple(pieces()), read))
