"""A module's program headers as they are mapped: no file is needed to know its thread-local storage."""

from __future__ import annotations

from tinspect.errors import FormatError, MemoryUnreadable
from tinspect.formats.elf import ElfImage, Segment
from tinspect.formats.elf_constants import PT_INTERP, PT_TLS
from tinspect.model.module import Module
from tinspect.target.memory import MemoryReader

_HEADER_BYTES = 4096  # program headers follow the ELF header within the first page
_MOST_BYTES = 1 << 30


def read_segments(memory: MemoryReader, module: Module) -> tuple[Segment, ...]:
    """The program headers of ``module``; empty when they cannot be read or make no sense."""
    try:
        return ElfImage(memory.read(module.range.low, min(module.range.size, _HEADER_BYTES))).segments
    except (MemoryUnreadable, FormatError):
        return ()


def find_tls_segment(memory: MemoryReader, module: Module) -> Segment | None:
    """The thread-local storage template of ``module``, or None when it has none (or one of absurd size)."""
    for segment in read_segments(memory, module):
        if segment.type == PT_TLS and 0 < segment.memory_size < _MOST_BYTES:
            return segment
    return None


def static_reach(segment: Segment) -> int:
    """How far below the thread pointer the block of ``segment`` may begin if it is the first or only one: its size, and its alignment
    once more for the rounding of both ends (at most 1 MiB)."""
    return min(segment.memory_size + 2 * max(segment.alignment, 16), 1 << 20)


def is_static_program(memory: MemoryReader, module: Module) -> bool:
    """Whether ``module`` asks for no program interpreter (it is the dynamic linker itself, or static)."""
    segments = read_segments(memory, module)
    return bool(segments) and all(segment.type != PT_INTERP for segment in segments)
