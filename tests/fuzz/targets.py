"""What is fuzzed: functions that take any bytes. They may refuse them (TinspectError) but must not raise anything else, hang, or
take memory by what the bytes claim."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tinspect.backends.core import CoreBackend, open_core
from tinspect.errors import FormatError, MemoryUnreadable, TinspectError
from tinspect.formats import procfs, registry
from tinspect.formats.auxv import parse_auxv
from tinspect.formats.cfi import compute_row
from tinspect.formats.compressed import HEAD_SIZE, decompressed, find_compression
from tinspect.formats.core_notes import collect_notes
from tinspect.formats.debuglink import parse_debug_data, parse_debug_link
from tinspect.formats.dwarf_aranges import parse_aranges
from tinspect.formats.dwarf_expression import ExpressionContext, evaluate
from tinspect.formats.eh_frame import CallFrameTable
from tinspect.formats.elf import ElfImage, parse_notes
from tinspect.formats.link_map import walk_link_map
from tinspect.formats.nt_file import parse_nt_file
from tinspect.formats.plt import parse_slot_symbols
from tinspect.formats.report_json import parse_report
from tinspect.formats.siginfo import parse_siginfo
from tinspect.formats.snapshot_note import NOTE_OWNER, NOTE_TYPE, parse_snapshot_note
from tinspect.formats.symtab import parse_dynamic_symbols, parse_section_symbols
from tinspect.model.address import AddressRange
from tinspect.model.options import AttachOptions
from tinspect.session import Inspector
from tinspect.target.memory import SegmentMemory, read_c_string

# A folder without files: a hostile core names any path it likes, and none may be opened here.
NOWHERE = Path("/proc/self/task/1")
BASE = 0x10000


def _open(data: bytes) -> CoreBackend:
    return open_core(io.BytesIO(data), sysroot=NOWHERE)


def core(data: bytes) -> None:
    """A whole core file, looked at in every way that the analyses would."""
    with _open(data) as backend:
        snapshot = backend.target
        for mapping in snapshot.mappings:
            for part in snapshot.memory.readable(mapping.range)[:4]:
                assert len(snapshot.memory.read(part.low, min(part.size, 4096))) == min(part.size, 4096)
        for module in snapshot.modules:
            assert module.range.low <= module.range.high
            snapshot.files.open_image(module)
        for thread in snapshot.threads:
            if thread.registers:
                with suppress(MemoryUnreadable):
                    snapshot.memory.read(thread.registers.sp, 64)
        snapshot.memory.readable(AddressRange(0, 1 << 64))


def report(data: bytes) -> None:
    """The whole report of a core: libc's houses, unwinding, registry and references over hostile memory."""
    with Inspector(lambda _: _open(data)) as inspector:
        inspector.report(AttachOptions())


def notes(data: bytes) -> None:
    """The notes of a core."""
    collect_notes(parse_notes(memoryview(data)), NOTE_OWNER, NOTE_TYPE)


def small_notes(data: bytes) -> None:
    """The bodies of single notes."""
    for parse in (parse_nt_file, parse_siginfo, parse_auxv):
        with suppress(FormatError):
            parse(data)


def snapshot_note(data: bytes) -> None:
    """The snapshot's own note."""
    parse_snapshot_note(data)


def report_document(data: bytes) -> None:
    """A report's JSON form."""
    parse_report(data)


_PROC_FILES: tuple[Callable[[bytes], object], ...] = (
    procfs.parse_maps,
    procfs.parse_status,
    procfs.parse_stat,
    procfs.parse_syscall,
    procfs.parse_limits,
)


def proc_files(data: bytes) -> None:
    """Files of /proc."""
    for parse in _PROC_FILES:
        with suppress(FormatError):
            parse(data)


def compressed(data: bytes) -> None:
    """Compressed files."""
    kind = find_compression(data[:HEAD_SIZE])
    if kind:
        for piece in decompressed(io.BytesIO(data), kind):
            assert len(piece) <= 128 << 20


def link_map(data: bytes) -> None:
    """The dynamic linker's list in hostile memory: r_debug at its start."""
    memory = SegmentMemory([(BASE, data)])
    for _ in walk_link_map(memory.read, lambda at, limit: read_c_string(memory, at, limit), BASE):
        pass


def elf(data: bytes) -> None:
    """An ELF file: sections, dynamic section, notes, symbols, PLT, debug links."""
    image = ElfImage(data)
    image.build_id  # noqa: B018 (computed when asked for)
    image.dynamic  # noqa: B018 (likewise)
    for symbols in (parse_section_symbols(image, ".symtab", ".strtab"), parse_dynamic_symbols(image)):
        if symbols is not None:
            symbols.find(image.header.entry)
            symbols.find_named(b"main")
            for index in range(min(len(symbols), 16)):
                symbols.name_at(index)
    parse_slot_symbols(image)
    parse_debug_link(image)
    parse_debug_data(image)


def call_frames(data: bytes) -> None:
    """Call frame information of an ELF file."""
    image = ElfImage(data)
    table = CallFrameTable(image)
    for pc in (image.header.entry, image.header.entry + 64, 0x1000):
        with suppress(FormatError):
            entry = table.find(pc)
            if entry is not None:
                compute_row(entry, pc)


def expression(data: bytes) -> None:
    """A DWARF expression."""
    evaluate(data, ExpressionContext({7: 0x1000, 6: 0x2000}, lambda address, size: address + size, 0x3000, 0x4000))


def ranges(data: bytes) -> None:
    """.debug_aranges."""
    parse_aranges(memoryview(data)).find(0x1000)


def scope_registry(data: bytes) -> None:
    """The scoped-thread runtime's registry: header, tables, and records in the same bytes."""
    header = registry.parse_header(data)
    fields = registry.parse_fields(data, header)
    for arena in registry.parse_arenas(data, header)[:64]:
        registry.used_slots(arena, header)
        for record in registry.parse_records(data, arena, fields.get(arena.kind, {})):
            record.text("name")
            record.link("parent")


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        core, report, notes, small_notes, snapshot_note, report_document, proc_files, compressed, link_map, elf,
        call_frames, expression, ranges, scope_registry,
    )
}  # fmt: skip


def run_one(name: str, data: bytes) -> None:
    """One execution: refusals are fine."""
    with suppress(TinspectError):
        TARGETS[name](data)
