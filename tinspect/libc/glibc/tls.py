"""Thread-local storage blocks: which module's block of which thread lies where (elf/dl-tls.c, nptl_db/td_thr_tlsbase.c)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.formats.link_map import LinkMapEntry
from tinspect.libc.glibc.layout import DTV_ENTRY_BYTES
from tinspect.libc.glibc.thread_db import ThreadDb
from tinspect.libc.link_maps import find_r_debug, read_link_maps
from tinspect.libc.segments import find_tls_segment, is_static_program, static_reach
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.gap import Gap
from tinspect.model.module import Module
from tinspect.model.source import Source
from tinspect.model.tls import TlsBlock
from tinspect.target.memory import MemoryReader, find_word
from tinspect.target.target import Target

_UNALLOCATED = ADDRESS_LIMIT - 1  # TLS_DTV_UNALLOCATED
_NO_STATIC_OFFSETS = (
    0,
    ADDRESS_LIMIT - 1,
    ADDRESS_LIMIT - 2,
)  # NO_TLS_OFFSET, FORCED_DYNAMIC_TLS_OFFSET (include/link.h)
MOST_MODULES = 65_536
_MOST_STATIC_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class TlsModule:
    """A module with thread-local storage: its id, the bytes of a block, how far its static block lies from the thread pointer
    (None when it has no static block, or the DTV alone tells), and the generation its id was given in (0 when not known).

    ``reach`` is how many bytes below the thread pointer may belong to its static block.
    """

    module: Module
    module_id: int
    size: int
    static_offset: int | None
    generation: int = 0
    reach: int = 0


def read_tls_modules(target: Target, database: ThreadDb) -> tuple[tuple[TlsModule, ...], tuple[Gap, ...]]:
    """The modules with thread-local storage by id, as the dynamic linker has them now."""
    main = target.modules.main
    if main is not None and database.module == main.name and is_static_program(target.memory, main):
        return _static_program(target, main), ()
    r_debug = find_r_debug(target.memory, main) if main else None
    r_debug = r_debug or database.symbols.find_address("_r_debug", None)
    if r_debug is None:
        return (), (Gap("tls_blocks", "the dynamic linker's list of modules was not found."),)
    modid = database.find_offset("link_map", "l_tls_modid")
    offset = database.find_offset("link_map", "l_tls_offset")
    if modid is None or offset is None:
        return (), (Gap("tls_blocks", "nothing describes where glibc keeps a module's TLS id."),)
    generations = _read_generations(target.memory, database)
    found = {}
    for entry in read_link_maps(target.memory, r_debug):
        item = _tls_module(target, entry, modid, offset, generations)
        if item is not None:
            found[item.module_id] = item
    return tuple(found[key] for key in sorted(found)), ()


def _static_program(target: Target, main: Module) -> tuple[TlsModule, ...]:
    """A static program has one block, of module id 1, whose address stands in the DTV (csu/libc-tls.c)."""
    segment = find_tls_segment(target.memory, main)
    if segment is None:
        return ()
    return (TlsModule(main, 1, segment.memory_size, None, reach=static_reach(segment)),)


def _tls_module(
    target: Target, entry: LinkMapEntry, modid: int, offset: int, generations: dict[int, int]
) -> TlsModule | None:
    number = find_word(target.memory, entry.node + modid)
    module = target.modules.find(entry.dynamic)
    if not number or number > MOST_MODULES or module is None:
        return None
    segment = find_tls_segment(target.memory, module)
    if segment is None:
        return None
    static = find_word(target.memory, entry.node + offset)
    if static is None or static in _NO_STATIC_OFFSETS or static > _MOST_STATIC_BYTES:
        static = None
    return TlsModule(module, number, segment.memory_size, static, generations.get(number, 0), static or 0)


def _read_generations(memory: MemoryReader, database: ThreadDb) -> dict[int, int]:
    """Generation by module id, from _rtld_global._dl_tls_dtv_slotinfo_list; empty when it is not described (before 2.34)."""
    pointer = database.symbols.find_address("__nptl_rtld_global", database.module)
    base = find_word(memory, pointer) if pointer is not None else None
    offset = database.find_offset("rtld_global", "_dl_tls_dtv_slotinfo_list")
    slots = database.find_offset("dtv_slotinfo_list", "slotinfo")
    if base is None or offset is None or slots is None:
        return {}
    found: dict[int, int] = {}
    node = find_word(memory, base + offset)
    first = 0
    while node and first < MOST_MODULES:
        length = find_word(memory, node)
        if not length or length > MOST_MODULES:
            break
        for index in range(length):  # struct dtv_slotinfo: gen, map
            generation = find_word(memory, node + slots + 16 * index)
            if generation:
                found[first + index] = generation
        first += length
        node = find_word(memory, node + 8)
    return found


def read_tls_blocks(
    memory: MemoryReader, modules: tuple[TlsModule, ...], *, thread_pointer: int, dtv: int, variant: int, tid: int
) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
    """Each module's block of one thread. A static block is at a fixed distance; a dynamic one exists when the DTV says so."""
    generation = find_word(memory, dtv)
    blocks: list[TlsBlock] = []
    gaps: list[Gap] = []
    for item in modules:
        if item.static_offset is not None:
            low: int | None = thread_pointer + (item.static_offset if variant == 1 else -item.static_offset)
        else:
            entry = find_word(memory, dtv + DTV_ENTRY_BYTES * item.module_id)
            if generation is None or (entry is None and generation >= item.generation):
                gaps.append(Gap("tls_blocks", f"entry {item.module_id} of its DTV at {dtv:#x} cannot be read.", tid))
                continue
            # An entry older than the module's id belongs to a module that was unloaded since.
            current = generation >= item.generation and entry not in (None, 0, _UNALLOCATED)
            low = entry if current else None
        blocks.append(
            TlsBlock(item.module.path or item.module.name, item.module_id, _range(low, item.size), Source.DESCRIPTOR)
        )
    return tuple(blocks), tuple(gaps)


def _range(low: int | None, size: int) -> AddressRange | None:
    return AddressRange(low, low + size) if low is not None and 0 <= low <= ADDRESS_LIMIT - size else None


def static_extent(modules: tuple[TlsModule, ...]) -> int:
    """Bytes of static thread-local storage beside the thread pointer."""
    return max((item.reach for item in modules), default=0)


def dynamic_modules(modules: tuple[TlsModule, ...]) -> Iterator[TlsModule]:
    """The modules whose blocks are reached through the DTV alone."""
    return (item for item in modules if item.static_offset is None)
