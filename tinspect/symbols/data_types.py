"""Types of variables as plain values: what DWARF says of them, within bounds, and their bytes in words."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

_ELEMENTS_SHOWN = 8
_TEXT_LIMIT = 160
_FLOATS = {4: "<f", 8: "<d"}
_ATE_BOOLEAN, _ATE_FLOAT, _ATE_SIGNED, _ATE_SIGNED_CHAR, _ATE_UNSIGNED_CHAR = 2, 4, 5, 6, 8


class TypeKind(StrEnum):
    """What the bytes of a type are."""

    BASE = "base"
    POINTER = "pointer"
    ENUM = "enum"
    ARRAY = "array"
    STRUCT = "struct"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure: name and offset in bytes; ``bits`` are (offset from there, count) of a bit field."""

    name: str
    offset: int
    type: DataType
    bits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class DataType:
    """A type: its name as the source has it and its size in bytes (0 when not known).

    ``encoding`` is DW_AT_encoding of a base type; ``element`` and ``count`` are an array's; ``enumerators`` (value, name) an enumeration's.
    """

    name: str
    size: int
    kind: TypeKind = TypeKind.UNKNOWN
    encoding: int = 0
    element: DataType | None = None
    count: int = 0
    members: tuple[Member, ...] = ()
    enumerators: tuple[tuple[int, str], ...] = ()

    def render(self, data: bytes) -> str | None:
        """The value that ``data`` holds, in words; None when its type gives none, or when bytes are missing."""
        if self.size == 0 or len(data) < self.size:
            return None
        text = _RENDERERS[self.kind](self, data[: self.size])
        return text if text is None or len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def _base(type_: DataType, data: bytes) -> str | None:
    signed = type_.encoding in (_ATE_SIGNED, _ATE_SIGNED_CHAR)
    value = int.from_bytes(data, "little", signed=signed)
    if type_.encoding == _ATE_BOOLEAN:
        return {0: "false", 1: "true"}.get(value, str(value))
    if type_.encoding == _ATE_FLOAT:
        layout = _FLOATS.get(type_.size)
        return repr(struct.unpack(layout, data)[0]) if layout is not None else None
    if type_.encoding in (_ATE_SIGNED_CHAR, _ATE_UNSIGNED_CHAR) and 32 <= value < 127:
        return f"{value} {chr(value)!r}"
    return str(value)


def _pointer(_: DataType, data: bytes) -> str | None:
    return hex(int.from_bytes(data, "little"))


def _enum(type_: DataType, data: bytes) -> str | None:
    value = int.from_bytes(data, "little")
    signed = int.from_bytes(data, "little", signed=True)
    return next((name for number, name in type_.enumerators if number in (value, signed)), str(value))


def _array(type_: DataType, data: bytes) -> str | None:
    element = type_.element
    if element is None or element.size == 0:
        return None
    if element.kind is TypeKind.BASE and element.encoding in (_ATE_SIGNED_CHAR, _ATE_UNSIGNED_CHAR):
        text = data.partition(b"\0")[0]
        return '"' + text.decode("utf-8", "backslashreplace").translate(_QUOTED) + '"'
    shown = min(type_.count, _ELEMENTS_SHOWN)
    parts = [element.render(data[i * element.size : (i + 1) * element.size]) or "?" for i in range(shown)]
    return "{" + ", ".join(parts) + (", …" if type_.count > shown else "") + "}"


def _struct(type_: DataType, data: bytes) -> str | None:
    parts = [f"{member.name} = {_member(member, data) or '?'}" for member in type_.members[:_ELEMENTS_SHOWN]]
    more = ", …" if len(type_.members) > _ELEMENTS_SHOWN else ""
    return "{" + ", ".join(parts) + more + "}" if parts else None


def _member(member: Member, data: bytes) -> str | None:
    if member.bits is None:
        return member.type.render(data[member.offset :])
    offset, count = member.bits
    if count > 64 or not data[member.offset :]:
        return None
    value = int.from_bytes(data[member.offset : member.offset + 16], "little") >> offset & ((1 << count) - 1)
    is_negative = member.type.encoding == _ATE_SIGNED and count and value >> (count - 1)
    return str(value - (1 << count) if is_negative else value)


def _unknown(_: DataType, _data: bytes) -> str | None:
    return None


_QUOTED = {code: f"\\x{code:02x}" for code in [*range(32), 127]} | {
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    10: "\\n",
    9: "\\t",
}
_RENDERERS = {
    TypeKind.BASE: _base,
    TypeKind.POINTER: _pointer,
    TypeKind.ENUM: _enum,
    TypeKind.ARRAY: _array,
    TypeKind.STRUCT: _struct,
    TypeKind.UNKNOWN: _unknown,
}
