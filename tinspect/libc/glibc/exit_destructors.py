"""The functions a thread runs at its exit: C++ thread_local and Rust thread_local! destructors (stdlib/cxa_thread_atexit_impl.c)."""

from __future__ import annotations

from collections.abc import Iterable

from tinspect.arch import Architecture
from tinspect.errors import MemoryUnreadable
from tinspect.libc.disassembly import MemoryAccess, memory_accesses, read_code
from tinspect.model.address import ADDRESS_LIMIT
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.tls import TlsDestructor
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader, find_word, read_word

_MOST_BYTES = 1 << 24
_LIMIT = 4096
RECORD_BYTES = 32  # struct dtor_list: func, obj, map, next
NEXT_OFFSET = 24
_POINTER_GUARD = 0x30  # tcbhead_t.pointer_guard (sysdeps/x86_64/nptl/tls.h)
_ROTATION = 17  # PTR_MANGLE: 2 * LP_SIZE + 1 (sysdeps/unix/sysv/linux/x86_64/pointer_guard.h)


def find_list_offset(architecture: Architecture, memory: MemoryReader, symbols: Symbolizer, module: str) -> int | None:
    """Where the list's head lies from the thread pointer (negative), from the code of __call_tls_dtors; or None."""
    address = symbols.find_address("__call_tls_dtors", module)
    if address is None:
        return None
    return list_offset_in(memory_accesses(architecture, read_code(memory, address, 128), address), memory)


def list_offset_in(accesses: Iterable[MemoryAccess], memory: MemoryReader) -> int | None:
    """The offset that the first thread-local access of ``accesses`` uses.

    A shared libc loads it from its GOT (initial-exec model): ``mov reg, [rip + x]``, ``mov _, fs:[reg]``; a static one has it as the
    displacement (local-exec): ``mov _, fs:[-8]``.
    """
    loaded: dict[str, int] = {}
    for access in accesses:
        if access.segment == "fs":
            if not access.base and not access.index:
                offset = access.displacement
            elif access.base in loaded and not access.index:
                offset = loaded[access.base] + access.displacement
            else:
                continue
            offset = offset - ADDRESS_LIMIT if offset >= ADDRESS_LIMIT // 2 else offset
            if -_MOST_BYTES < offset < 0:
                return offset
        elif access.base == "rip" and access.mnemonic == "mov" and access.written:
            value = find_word(memory, access.next_address + access.displacement)
            if value is not None:
                loaded[access.written] = value
    return None


def read_exit_destructors(
    memory: MemoryReader, mappings: MappingTable, list_offset: int, thread_pointer: int, tid: int
) -> tuple[tuple[TlsDestructor, ...], tuple[Gap, ...]]:
    """The registered functions, next to run first. A function that does not decode to code ends the list with a gap."""
    found: list[TlsDestructor] = []
    seen: set[int] = set()
    try:
        guard = read_word(memory, thread_pointer + _POINTER_GUARD)
        node = read_word(memory, thread_pointer + list_offset)
        while node and node not in seen and len(seen) < _LIMIT:
            seen.add(node)
            function = demangle(read_word(memory, node), guard)
            mapping = mappings.find(function)
            if mapping is None or not mapping.is_executable:
                why = f"the entry at {node:#x} of the exit list names no code ({function:#x})."
                return tuple(found), (Gap("tls_destructors", why, tid),)
            found.append(TlsDestructor(function, read_word(memory, node + 8)))
            node = read_word(memory, node + NEXT_OFFSET)
    except (MemoryUnreadable, ValueError, OverflowError) as error:
        return tuple(found), (Gap("tls_destructors", f"the exit list cannot be read: {error}", tid),)
    return tuple(found), ()


def demangle(value: int, guard: int) -> int:
    """Undoes PTR_MANGLE of x86-64: rotate right by 17, then xor with the thread's pointer guard."""
    return ((value >> _ROTATION | value << 64 - _ROTATION) % ADDRESS_LIMIT) ^ guard
