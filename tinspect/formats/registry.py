"""The scoped-thread runtime's registry as bytes tell it (docs/internals/registry-format.md, version 1.x). Pure, and hostile-proof.

Nothing is trusted: every count is capped, every offset checked against the bytes there are, and links are resolved by comparing ids, so
that nothing can loop. What the format does not know is skipped; an unknown major version is refused in words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from tinspect.errors import FormatError

ANCHOR_SYMBOL = "ti_registry_v1"
MAPPING_NAME = "/memfd:tinspect"
NOTE_OWNER, NOTE_TYPE = "tinspect", 1
ANCHOR_SIZE, HEADER_SIZE = 24, 144
EPOCH_OFFSET = 48  # in the header
MAJOR = 1

_ANCHOR = struct.Struct("<8sIIQ")
_HEADER = struct.Struct("<8sIIHHIIIQQQIIIIIIII")
_ARENA = struct.Struct("<IIIIQ")
_FIELD = struct.Struct("<HHIII24s")
_LINK_SIZE = 16
_BYTE_ORDER = 0x01020304
_MOST_FIELDS, _MOST_ARENAS, _MOST_SLOTS, _MOST_STRIDE = 4096, 4096, 1 << 20, 1 << 16
_RECORD_HEAD = struct.Struct("<IIQ")  # sequence, generation, id
# More than a hundred thousand threads' worth of records; a registry that says more is read as far as this.
_MOST_BYTES = 1 << 26


class Kind(IntEnum):
    """Record kinds. Others are skipped."""

    THREAD = 1
    SCOPE = 2
    LOAN = 3
    CELL = 4
    LOCK = 5
    KEY = 6


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of the table of fields. ``format`` 1 is an unsigned integer, 2 text, 3 a link; sizes in bytes."""

    kind: int
    format: int
    offset: int
    width: int
    name: str


@dataclass(frozen=True, slots=True)
class Arena:
    """``count`` slots of one kind, ``stride`` bytes apart, from ``address`` on; the first has the number ``first``."""

    kind: int
    first: int
    count: int
    stride: int
    address: int


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a registry. ``born`` is the highest id given out so far, by kind; times are ns."""

    minor: int
    pid: int
    fork_generation: int
    started_monotonic: int
    epoch: int
    arena_count: int
    arena_offset: int
    arena_stride: int
    field_count: int
    field_offset: int
    field_stride: int
    born: tuple[int, ...]

    @property
    def tables_size(self) -> int:
        """Bytes from the header's start to the end of both tables."""
        arenas = self.arena_offset + self.arena_count * self.arena_stride
        return max(arenas, self.field_offset + self.field_count * self.field_stride, HEADER_SIZE)


@dataclass(frozen=True, slots=True)
class Record:
    """One live record: its slot's bytes, and the fields to read them by. ``torn`` when it was being written at that moment."""

    kind: int
    id: int
    slot: int
    generation: int
    address: int
    torn: bool
    data: bytes
    layout: Mapping[str, Field]

    def number(self, name: str) -> int:
        """An integer field; 0 when this version of the runtime does not have it."""
        return int.from_bytes(self._bytes(name, 1), "little")

    def text(self, name: str) -> str:
        """A text field, cut at what its length field says and at a zero byte; "" when it is missing."""
        data = self._bytes(name, 2)
        length = self.number(f"{name}_length") if f"{name}_length" in self.layout else len(data)
        return data[:length].split(b"\0")[0].decode("utf-8", "surrogateescape")

    def link(self, name: str) -> int:
        """The id a link names; 0 for none. Ids are never used again, so an id that no live record has is gone."""
        return int.from_bytes(self._bytes(name, 3)[:8], "little")

    def _bytes(self, name: str, form: int) -> bytes:
        field = self.layout.get(name)
        if field is None or field.format != form:
            return b""
        return self.data[field.offset : field.offset + field.width]


def parse_anchor(data: bytes) -> int:
    """The header's address (0: the runtime was not used yet) from the anchor. Raises FormatError."""
    if len(data) < ANCHOR_SIZE:
        raise FormatError("the registry's anchor is cut off.")
    magic, size, major, address = _ANCHOR.unpack_from(data)
    if magic != b"TINSPANC" or size < ANCHOR_SIZE:
        raise FormatError("what should be the registry's anchor is none.")
    _check_major(major)
    return int(address)


def parse_header(data: bytes) -> Header:
    """The header at the start of ``data`` (at least HEADER_SIZE bytes). Raises FormatError, also for a format this does not know."""
    if len(data) < HEADER_SIZE or data[:8] != b"TINSPREG":
        raise FormatError("what should be the runtime's registry does not begin like one.")
    (
        _, order, pointer_size, major, minor, header_size, pid, fork_generation, _, started, epoch,
        arena_count, arena_offset, arena_stride, arena_capacity, field_count, field_offset, field_stride, kinds,
    ) = _HEADER.unpack_from(data)  # fmt: skip
    if order != _BYTE_ORDER or pointer_size != 8:
        raise FormatError("the runtime's registry is of another byte order or pointer size.")
    _check_major(major)
    if header_size < HEADER_SIZE or arena_stride < _ARENA.size or field_stride < _FIELD.size:
        raise FormatError("the runtime's registry has a header that contradicts itself.")
    count = min(kinds, (min(header_size, len(data)) - _HEADER.size) // 8)
    born = struct.unpack_from(f"<{max(count, 0)}Q", data, _HEADER.size)
    return Header(
        minor, pid, fork_generation, started, epoch,
        min(arena_count, arena_capacity, _MOST_ARENAS), arena_offset, min(arena_stride, _MOST_STRIDE),
        min(field_count, _MOST_FIELDS), field_offset, min(field_stride, _MOST_STRIDE), born,
    )  # fmt: skip


def _check_major(major: int) -> None:
    if major != MAJOR:
        raise FormatError(
            f"the runtime's registry has format {major}, and this tinspect reads format {MAJOR}.",
            "Use the tinspect that came with that version of the runtime.",
        )


def parse_arenas(data: bytes, header: Header) -> tuple[Arena, ...]:
    """The table of arenas; ``data`` begins at the header.

    Entries that contradict the format are left out, so that no slot is told twice: those of a kind that do not go on where the one before
    ended, that lie over another's memory, or that make more than can be a registry.
    """
    arenas: list[Arena] = []
    room = _MOST_BYTES
    for index in range(header.arena_count):
        offset = header.arena_offset + index * header.arena_stride
        if offset + _ARENA.size > len(data):
            break
        arena = Arena(*_ARENA.unpack_from(data, offset))
        used = used_slots(arena, header) * arena.stride
        if _is_sound(arena, arenas) and used <= room:
            arenas.append(arena)
            room -= used
    return tuple(arenas)


def _is_sound(arena: Arena, before: list[Arena]) -> bool:
    end = arena.address + arena.count * arena.stride
    return (
        arena.count <= _MOST_SLOTS
        and _RECORD_HEAD.size <= arena.stride <= _MOST_STRIDE
        and arena.address > 0
        and end <= 1 << 64
        and arena.first == sum(other.count for other in before if other.kind == arena.kind)
        and all(end <= o.address or o.address + o.count * o.stride <= arena.address for o in before)
    )


def parse_fields(data: bytes, header: Header) -> dict[int, dict[str, Field]]:
    """The table of fields by record kind and name; ``data`` begins at the header. Entries of unknown formats are left out."""
    fields: dict[int, dict[str, Field]] = {}
    for index in range(header.field_count):
        offset = header.field_offset + index * header.field_stride
        if offset + _FIELD.size > len(data):
            break
        kind, form, start, width, _, name = _FIELD.unpack_from(data, offset)
        sound = (form == 1 and width in (4, 8)) or form == 2 or (form == 3 and width == _LINK_SIZE)
        if sound and width <= _MOST_STRIDE:
            text = name.split(b"\0")[0].decode("ascii", "backslashreplace")
            fields.setdefault(kind, {}).setdefault(text, Field(kind, form, start, width, text))
    return fields


def used_slots(arena: Arena, header: Header) -> int:
    """How many slots of the arena can ever have been given out: slots are numbered from 0, one new one at a time."""
    born = header.born[arena.kind] if arena.kind < len(header.born) else 0
    return max(min(arena.count, born - arena.first), 0)


def parse_records(data: bytes, arena: Arena, layout: Mapping[str, Field]) -> Iterator[Record]:
    """The live records of the arena's slots in ``data``, which begins at its first slot and may end early."""
    within = {name: field for name, field in layout.items() if field.offset + field.width <= arena.stride}
    for index in range(min(arena.count, len(data) // arena.stride)):
        start = index * arena.stride
        sequence, generation, identity = _RECORD_HEAD.unpack_from(data, start)
        if identity:
            slot = data[start : start + arena.stride]
            yield Record(
                arena.kind, identity, arena.first + index, generation, arena.address + start, bool(sequence & 1), slot, within
            )  # fmt: skip
