"""The functions a thread runs at its exit: C++ thread_local and Rust thread_local! destructors (stdlib/cxa_thread_atexit_impl.c)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinspect.errors import MemoryUnreadable
from tinspect.libc.layout_cache import LayoutCache
from tinspect.model.address import ADDRESS_LIMIT
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.module import Module
from tinspect.model.tls import TlsDestructor
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader, find_word, read_word
from tinspect.target.target import Target

if TYPE_CHECKING:
    from tinspect.libc.disassembly import MemoryAccess

EXIT_LIST_CODE = "__call_tls_dtors"  # the function whose code leads to the list
_MOST_BYTES = 1 << 24
_LIMIT = 4096
_CACHED_AS = "exit-list"
RECORD_BYTES = 32  # struct dtor_list: func, obj, map, next
NEXT_OFFSET = 24
_POINTER_GUARD = 0x30  # tcbhead_t.pointer_guard (sysdeps/x86_64/nptl/tls.h)
_ROTATION = 17  # PTR_MANGLE: 2 * LP_SIZE + 1 (sysdeps/unix/sysv/linux/x86_64/pointer_guard.h)


@dataclass(frozen=True, slots=True)
class ListPlace:
    """How libc's code reaches the list's head: the thread pointer, plus ``displacement``, plus the word at ``slot`` where there is one.

    A shared libc loads that word from its GOT (initial-exec model), where each process has its own; in a static one the displacement
    is all (local-exec).
    """

    displacement: int
    slot: int | None = None

    def offset(self, memory: MemoryReader) -> int | None:
        """From the thread pointer (negative); None when it cannot be read, or when it is none that such a list can have."""
        word = find_word(memory, self.slot) if self.slot is not None else 0
        if word is None:
            return None
        offset = (word + self.displacement) % ADDRESS_LIMIT - ADDRESS_LIMIT
        return offset if -_MOST_BYTES < offset < 0 else None


def find_list_offset(
    target: Target, symbols: Symbolizer, module: Module, cache: LayoutCache | None = None
) -> int | None:
    """Where the list's head lies from the thread pointer (negative), from the code of __call_tls_dtors; or None.

    ``cache`` saves disassembling the same libc again: loading the disassembler costs more than all else there is to learn of a libc.
    """
    kept = cache.find(module.build_id, _CACHED_AS) if cache else None
    if kept and len(kept[1]) in (1, 2):
        displacement, *slots = kept[1]
        offset = ListPlace(displacement, slots[0] + module.load_bias if slots else None).offset(target.memory)
        if offset is not None:
            return offset
    place = _learn_place(target, symbols, module.name)
    if place is None:
        return None
    if cache:
        slots = [place.slot - module.load_bias] if place.slot is not None else []
        cache.store(module.build_id, "disassembly", (place.displacement, *slots), _CACHED_AS)
    return place.offset(target.memory)


def _learn_place(target: Target, symbols: Symbolizer, module: str) -> ListPlace | None:
    from tinspect.libc.disassembly import memory_accesses, read_code

    address = symbols.find_address(EXIT_LIST_CODE, module)
    if address is None:
        return None
    code = read_code(target.memory, address, 128)
    return list_place_in(memory_accesses(target.architecture, code, address), target.memory)


def list_place_in(accesses: Iterable[MemoryAccess], memory: MemoryReader) -> ListPlace | None:
    """The place that the first thread-local access of ``accesses`` below the thread pointer uses.

    Shared: ``mov reg, [rip + x]``, ``mov _, fs:[reg]``; static: ``mov _, fs:[-8]``.
    """
    loaded: dict[str, int] = {}
    for access in accesses:
        if access.segment == "fs" and not access.index and (not access.base or access.base in loaded):
            place = ListPlace(access.displacement % ADDRESS_LIMIT, loaded.get(access.base))
            if place.offset(memory) is not None:
                return place
        elif access.base == "rip" and access.mnemonic == "mov" and access.written and access.segment != "fs":
            loaded[access.written] = access.next_address + access.displacement
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
