"""pthread keys of musl (src/thread/pthread_key_create.c): a table of destructors, and an array of values for each thread."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.libc.disassembly import MemoryAccess, memory_accesses, read_code
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.tls import TlsKey, TlsSlot
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader
from tinspect.target.target import Target

KEYS_MAX = 128  # PTHREAD_KEYS_MAX, include/limits.h
_TABLE = struct.Struct(f"<{KEYS_MAX}Q")


@dataclass(frozen=True, slots=True)
class KeyTable:
    """Where ``keys`` lies: KEYS_MAX destructors, 0 for a key not in use. ``no_destructor`` is musl's own empty function, which stands
    for none; None when it was not recognised."""

    address: int
    no_destructor: int | None

    @property
    def size(self) -> int:
        """Bytes of the table."""
        return _TABLE.size


def find_key_table(target: Target, symbols: Symbolizer, module: str) -> KeyTable | None:
    """The key table, from the code of pthread_key_create: no symbol of a shared musl names it. None when that code is not found."""
    address = symbols.find_address("pthread_key_create", module)
    if address is None:
        return None
    code = read_code(target.memory, address, 256)
    return key_table_in(memory_accesses(target.architecture, code, address), target.mappings)


def key_table_in(accesses: Iterable[MemoryAccess], mappings: MappingTable) -> KeyTable | None:
    """The array that 8-byte operands index, and the code address that is loaded where no destructor is given."""
    loaded: dict[str, int] = {}
    no_destructor = table = None
    for access in accesses:
        if access.mnemonic == "lea" and access.base == "rip" and access.written:
            value = access.next_address + access.displacement
            mapping = mappings.find(value)
            if mapping is not None and mapping.is_executable:
                no_destructor = no_destructor or value
            else:
                loaded[access.written] = value
        elif access.index and access.size == 8 and table is None:
            table = loaded.get(access.base) if access.base else access.displacement
    mapping = mappings.find(table) if table else None
    if table is None or mapping is None or not mapping.is_writable:
        return None
    return KeyTable(table, no_destructor)


def read_keys(memory: MemoryReader, table: KeyTable) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
    """The keys in use."""
    try:
        entries = _TABLE.unpack(memory.read(table.address, table.size))
    except MemoryUnreadable as error:
        return (), (Gap("tls_keys", f"the key table cannot be read: {error.message}"),)
    keys = (
        TlsKey(number, None, 0 if destructor == table.no_destructor else destructor)
        for number, destructor in enumerate(entries)
        if destructor
    )
    return tuple(keys), ()


def read_slots(
    memory: MemoryReader, values: int, keys: Iterable[int], tid: int
) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
    """The thread's values, from its array at ``values`` (0: it has none)."""
    if not values:
        return (), ()
    try:
        entries = _TABLE.unpack(memory.read(values, _TABLE.size))
    except (MemoryUnreadable, ValueError, OverflowError):
        return (), (Gap("tls_values", f"the values of its keys, at {values:#x}, cannot be read.", tid),)
    return tuple(TlsSlot(key, entries[key]) for key in keys if entries[key]), ()
