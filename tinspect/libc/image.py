"""What the libc houses need of a module's file: its debug companion, and what its program headers say of thread-local storage."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader

DebugImages = Callable[[Module], "bytes | memoryview | None"]
"""Gives the bytes of the file that holds a module's debug information, checked by build id, or None when there is none."""

_ELF_HEADER = struct.Struct("<16s2HI3QI6H")
_PROGRAM_HEADER = struct.Struct("<2I6Q")
_MOST_SEGMENTS = 128
_MOST_BYTES = 1 << 30
PT_DYNAMIC, PT_INTERP, PT_TLS = 2, 3, 7


def no_debug_images(_module: Module) -> bytes | memoryview | None:
    """For callers that have none."""
    return None


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header: type, virtual address in the file, and sizes in bytes (elf(5))."""

    kind: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


def read_segments(memory: MemoryReader, module: Module) -> tuple[Segment, ...]:
    """The program headers of ``module`` as they are mapped; empty when its ELF header cannot be read or makes no sense."""
    try:
        header = _ELF_HEADER.unpack(memory.read(module.range.low, _ELF_HEADER.size))
        offset, entry_size, count = header[5], header[9], header[10]
        if header[0][:5] != b"\x7fELF\x02" or entry_size != _PROGRAM_HEADER.size or count > _MOST_SEGMENTS:
            return ()
        data = memory.read(module.range.low + offset, entry_size * count)
    except (MemoryUnreadable, ValueError, OverflowError):
        return ()
    return tuple(
        Segment(kind, address, file_size, memory_size, alignment)
        for kind, _, _, address, _, file_size, memory_size, alignment in _PROGRAM_HEADER.iter_unpack(data)
    )


def find_tls_segment(memory: MemoryReader, module: Module) -> Segment | None:
    """The thread-local storage template of ``module``, or None when it has none (or one of absurd size)."""
    for segment in read_segments(memory, module):
        if segment.kind == PT_TLS and 0 < segment.memory_size < _MOST_BYTES:
            return segment
    return None
