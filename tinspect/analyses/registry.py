"""Finds the runtime's registries in a target, says what must be captured of them, and reads their records."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tinspect.errors import FormatError, MemoryUnreadable
from tinspect.formats import registry as form
from tinspect.model.address import AddressRange, merged
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader
from tinspect.target.plan import CapturePlan, SlotGroup, SlotTable
from tinspect.target.target import Target

_FIRST_PAGE = 4096
_MOST_TABLES = 1 << 20
# The note's head and padded owner: Elf64_Nhdr {namesz, descsz, type}, then "tinspect".
_NOTE = struct.pack("<III12s", len(form.NOTE_OWNER) + 1, 8, form.NOTE_TYPE, form.NOTE_OWNER.encode())
# Each copy of the library has one registry: more are a sign of something else.
_MOST_REGISTRIES = 64
# Threads may be born between the plan and the stop: their slots are copied as well.
_SPARE_SLOTS = 64
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class RegistryRecords:
    """One registry as it was read. ``address`` is that of its header."""

    address: int
    header: form.Header
    records: tuple[form.Record, ...]

    def of_kind(self, kind: form.Kind) -> tuple[form.Record, ...]:
        """The live records of one kind, by slot."""
        return tuple(record for record in self.records if record.kind == kind)


def find_registries(target: Target, symbols: Symbolizer) -> tuple[tuple[int, ...], tuple[Gap, ...]]:
    """The header addresses of all registries: by note, by symbol, by mapping; and why one that is there cannot be used."""
    found: dict[int, None] = {}
    gaps: list[Gap] = []
    for anchor in _anchors(target, symbols):
        try:
            address = form.parse_anchor(_read(target.memory, anchor, form.ANCHOR_SIZE))
        except FormatError as error:
            gaps.append(Gap("scopes", str(error)))
            continue
        except MemoryUnreadable:
            continue
        if address:
            found[address] = None
    for mapping in target.mappings:
        if mapping.name == form.MAPPING_NAME and _begins_registry(target.memory, mapping.range.low):
            found[mapping.range.low] = None
    if len(found) > _MOST_REGISTRIES:
        gaps.append(
            Gap("scopes", f"{len(found):,} registries of the runtime were found: {_MOST_REGISTRIES} were read.")
        )
    return tuple(found)[:_MOST_REGISTRIES], tuple(gaps)


def _anchors(target: Target, symbols: Symbolizer) -> Iterator[int]:
    seen: set[int] = set()
    for module in target.modules:
        anchor = _anchor_by_note(target.memory, module)
        if anchor is not None and anchor not in seen:
            seen.add(anchor)
            yield anchor
    if not seen:
        # A stripped-down section layout may have moved the note: the symbol is the second way.
        anchor = symbols.find_address(form.ANCHOR_SYMBOL)
        if anchor is not None:
            yield anchor


def _anchor_by_note(memory: MemoryReader, module: Module) -> int | None:
    if module.is_vdso:
        return None
    low = module.range.low
    try:
        page = memory.read(low, min(_FIRST_PAGE, module.range.size))
    except MemoryUnreadable:
        return None
    found = page.find(_NOTE)
    position = found + len(_NOTE)
    if found < 0 or position + 8 > len(page):
        return None
    distance = int.from_bytes(page[position : position + 8], "little", signed=True)
    return (low + position + distance) & (1 << 64) - 1


def _begins_registry(memory: MemoryReader, address: int) -> bool:
    try:
        return memory.read(address, 8) == b"TINSPREG"
    except MemoryUnreadable:
        return False


def plan_capture(target: Target, addresses: tuple[int, ...]) -> CapturePlan:
    """The ranges that hold the registries' headers, tables and used slots now."""
    wanted: list[AddressRange] = []
    groups: list[SlotGroup] = []
    for address in addresses:
        # Even of a registry that cannot be read the header is copied: it says why.
        wanted += _mapped(target, AddressRange(address, min(address + form.HEADER_SIZE, 1 << 64)))
        try:
            header, tables = _read_tables(target.memory, address)
        except (FormatError, MemoryUnreadable):
            continue
        wanted.append(AddressRange.sized(address, len(tables)))
        slots = [table for arena in form.parse_arenas(tables, header) for table in _mapped_slots(target, arena, header)]
        head = AddressRange.sized(address, form.HEADER_SIZE)
        groups.append(SlotGroup(head, address + form.EPOCH_OFFSET, tuple(slots)))
    return CapturePlan(fixed=tuple(wanted), slot_groups=tuple(groups))


def _mapped_slots(target: Target, arena: form.Arena, header: form.Header) -> Iterator[SlotTable]:
    """The used slots of the arena, and some more, as far as they are mapped without a hole."""
    count = min(form.used_slots(arena, header) + _SPARE_SLOTS, arena.count)
    end = min(arena.address + count * arena.stride, 1 << 64)
    mapped = merged(_mapped(target, AddressRange(arena.address, end))) if arena.address < end else ()
    if mapped and mapped[0].low == arena.address:
        yield SlotTable(arena.address, arena.stride, mapped[0].size // arena.stride)


def _mapped(target: Target, area: AddressRange) -> Iterator[AddressRange]:
    for mapping in target.mappings.overlapping(area):
        part = mapping.range.intersection(area)
        if part is not None:
            yield part


def read_registries(
    memory: MemoryReader, addresses: tuple[int, ...]
) -> tuple[tuple[RegistryRecords, ...], tuple[Gap, ...]]:
    """Every live record of every registry, and what could not be read of them."""
    found: list[RegistryRecords] = []
    gaps: list[Gap] = []
    for address in addresses:
        try:
            found.append(_read_registry(memory, address, gaps))
        except FormatError as error:
            gaps.append(Gap("scopes", str(error)))
        except MemoryUnreadable:
            gaps.append(Gap("scopes", f"the runtime's registry at {address:#x} cannot be read."))
    return tuple(found), tuple(gaps)


def _read_tables(memory: MemoryReader, address: int) -> tuple[form.Header, bytes]:
    header = form.parse_header(_read(memory, address, form.HEADER_SIZE))
    return header, _read(memory, address, min(header.tables_size, _MOST_TABLES))


def _read(memory: MemoryReader, address: int, size: int) -> bytes:
    """Like MemoryReader.read, for addresses that the target claims: they may lie anywhere. Raises MemoryUnreadable."""
    if address + size > 1 << 64:
        raise MemoryUnreadable(address, size)
    return memory.read(address, size)


def _read_registry(memory: MemoryReader, address: int, gaps: list[Gap]) -> RegistryRecords:
    header, tables = _read_tables(memory, address)
    fields = form.parse_fields(tables, header)
    arenas = form.parse_arenas(tables, header)
    # By kind and id: an id is given out once, so a second record of the same id is none.
    records: dict[tuple[int, int], form.Record] = {}
    for arena in arenas:
        size = form.used_slots(arena, header) * arena.stride
        if arena.kind not in fields or not size:
            continue
        try:
            data = memory.read(arena.address, size)
        except MemoryUnreadable:
            gaps.append(Gap("scopes", f"{size} bytes of the runtime's registry at {arena.address:#x} cannot be read."))
            continue
        for record in form.parse_records(data, arena, fields[arena.kind]):
            records.setdefault((record.kind, record.id), record)
    gaps += _contradictions(header, len(arenas), len(fields), records.values())
    return RegistryRecords(address, header, tuple(records.values()))


def _contradictions(header: form.Header, arenas: int, kinds: int, records: Collection[form.Record]) -> Iterator[Gap]:
    """What the registry says that cannot be, or was on its way from one state to the next."""
    if arenas < header.arena_count:
        damaged = f"{header.arena_count - arenas:,} of {header.arena_count:,} arenas"
        yield Gap("scopes", f"the runtime's registry is damaged: {damaged} contradict its format and were left out.")
    if not kinds:
        yield Gap("scopes", "the runtime's registry is damaged: it does not say what its records look like.")
    torn = [f"{_kind_word(record.kind)} {record.id}" for record in records if record.torn]
    if torn:
        more = f" and {len(torn) - _MOST_NAMED:,} more" if len(torn) > _MOST_NAMED else ""
        named = ", ".join(torn[:_MOST_NAMED])
        yield Gap("scopes", f"records of the runtime's registry were being written and are torn: {named}{more}.")
    if header.epoch & 1:
        yield Gap("scopes", "the runtime was giving out a record at that moment: one may be missing or new.")


def _kind_word(kind: int) -> str:
    return form.Kind(kind).name.lower() if kind in form.Kind.__members__.values() else f"kind-{kind}"
