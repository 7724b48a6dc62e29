"""pthread keys and each thread's values of them (nptl/pthread_setspecific.c, sysdeps/nptl/internaltypes.h)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.libc.glibc.layout import LEVEL_SIZE, SLOT_BYTES, PthreadLayout
from tinspect.libc.glibc.thread_db import ThreadDb
from tinspect.model.gap import Gap
from tinspect.model.tls import TlsKey, TlsSlot
from tinspect.target.memory import MemoryReader

KEYS_MAX = 1024  # PTHREAD_KEYS_MAX, bits/local_lim.h
_KEY = struct.Struct("<QQ")  # struct pthread_key_struct: seq, destr
_BLOCK_BYTES = LEVEL_SIZE * SLOT_BYTES


@dataclass(frozen=True, slots=True)
class KeyTable:
    """Where ``__pthread_keys`` lies: KEYS_MAX entries of (sequence, destructor)."""

    address: int

    @property
    def size(self) -> int:
        """Bytes of the table."""
        return KEYS_MAX * _KEY.size


def find_key_table(database: ThreadDb) -> KeyTable | None:
    """The key table, or None when no symbol leads to it, or thread_db's description of it is not the one known."""
    address = database.symbols.find_address("__pthread_keys", database.module)
    shape = (
        database.find_size("pthread_key_struct") or _KEY.size,
        database.find_offset("pthread_key_struct", "destr") or 8,
        database.find_size("pthread_key_data") or SLOT_BYTES,
        database.find_offset("pthread_key_data", "data") or 8,
    )
    return KeyTable(address) if address is not None and shape == (_KEY.size, 8, SLOT_BYTES, 8) else None


def read_keys(memory: MemoryReader, table: KeyTable) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
    """The keys in use: those whose sequence is odd."""
    try:
        data = memory.read(table.address, table.size)
    except MemoryUnreadable as error:
        return (), (Gap("tls_keys", f"the key table cannot be read: {error.message}"),)
    keys = (
        TlsKey(number, sequence, destructor)
        for number, (sequence, destructor) in enumerate(_KEY.iter_unpack(data))
        if sequence & 1
    )
    return tuple(keys), ()


def read_slots(
    memory: MemoryReader, layout: PthreadLayout, keys: Mapping[int, TlsKey], address: int, tid: int
) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
    """The values of the thread whose descriptor is at ``address``: not null, and of the key's current sequence."""
    slots: list[TlsSlot] = []
    gaps: list[Gap] = []
    try:
        pointers = memory.read(address + layout.specific, KEYS_MAX // LEVEL_SIZE * 8)
    except (MemoryUnreadable, ValueError, OverflowError):
        return (), (Gap("tls_values", "its descriptor cannot be read as far as the values of keys.", tid),)
    for number, (block,) in enumerate(struct.iter_unpack("<Q", pointers)):
        if not block:
            continue
        try:
            data = memory.read(block, _BLOCK_BYTES)
        except (MemoryUnreadable, ValueError, OverflowError):
            first = number * LEVEL_SIZE
            why = f"the values of keys {first} to {first + LEVEL_SIZE - 1}, at {block:#x}, cannot be read."
            gaps.append(Gap("tls_values", why, tid))
            continue
        for index, (sequence, value) in enumerate(_KEY.iter_unpack(data)):
            if not value:
                continue
            key = keys.get(number * LEVEL_SIZE + index)
            if key is not None and key.sequence == sequence:
                slots.append(TlsSlot(key.key, value))
    return tuple(slots), tuple(gaps)
