"""glibc's own descriptors for thread debuggers: ``_thread_db_*`` (nptl_db/structs.def).

A field's descriptor is three int32: bits, elements, byte offset. A ``sizeof`` one is one int32: bytes. glibc 2.34 and later export them
from libc.so.6; before, they are in the .symtab that libpthread keeps for this purpose, and so it is in static programs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader

_FIELD = struct.Struct("<iii")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ThreadDb:
    """Looks the descriptors up in one module of the target."""

    symbols: Symbolizer
    memory: MemoryReader
    module: str

    def find_offset(self, structure: str, member: str) -> int | None:
        """Byte offset of ``member`` in ``structure``, or None when nothing describes it."""
        fields = self._find(f"_thread_db_{structure}_{member}", _FIELD.size)
        offset = _FIELD.unpack(fields)[2] if fields else -1
        return offset if 0 <= offset < _MOST_BYTES else None

    def find_size(self, structure: str) -> int | None:
        """Bytes of ``structure``, or None."""
        data = self._find(f"_thread_db_sizeof_{structure}", 4)
        size = int.from_bytes(data, "little") if data else 0
        return size if 0 < size < _MOST_BYTES else None

    def _find(self, name: str, size: int) -> bytes | None:
        address = self.symbols.find_address(name, self.module)
        if address is None:
            return None
        try:
            return self.memory.read(address, size)
        except MemoryUnreadable:
            return None
