"""ELF notes (elf(5)): a name, a type, and bytes. The kernel aligns name and bytes to 4, whatever the class of the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("<III")


class Note(NamedTuple):
    """One note. ``name`` is without its NUL; ``data`` is a view, nothing is copied."""

    name: bytes
    type: int
    data: memoryview


def parse_notes(data: bytes | memoryview) -> Iterator[Note]:
    """The notes in ``data``, in order, up to the first that ``data`` does not hold whole."""
    view = memoryview(data)
    position = 0
    while position + _HEADER.size <= len(view):
        name_size, data_size, kind = _HEADER.unpack_from(view, position)
        name_start = position + _HEADER.size
        data_start = name_start + _aligned(name_size)
        if data_start + data_size > len(view):
            return
        name = bytes(view[name_start : name_start + min(name_size, 64)]).rstrip(b"\0")
        yield Note(name, kind, view[data_start : data_start + data_size])
        position = data_start + _aligned(data_size)


def pack_note(name: bytes, kind: int, data: bytes) -> bytes:
    """The bytes of one note, padded to 4."""
    text = name + b"\0"
    return _HEADER.pack(len(text), len(data), kind) + _padded(text) + _padded(data)


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _padded(data: bytes) -> bytes:
    return data + bytes(_aligned(len(data)) - len(data))
