"""Words of a stack, read a page at a time: unwinding reads many neighbours."""

from __future__ import annotations

import struct

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.target.memory import MemoryReader

_WORD = struct.Struct("<Q")
_PAGE = 4096
_PAGES_KEPT = 64


class StackWords:
    """A window on memory that answers for single words, and forgets when it is dropped (the target may change)."""

    __slots__ = ("_data", "_last", "_low", "_memory", "_pages")

    def __init__(self, memory: MemoryReader, start: int) -> None:
        """``start`` is the lowest address that is worth reading (sp less the red zone): captures begin there, not at a page."""
        self._memory = memory
        self._low, self._data, self._last = 0, b"", -1
        self._pages: dict[int, tuple[int, bytes]] = {}
        self._open(start & ~7, _PAGE - (start & ~7) % _PAGE)

    def word(self, address: int) -> int | None:
        """The word at ``address``, or None when it cannot be read."""
        offset = address - self._low
        if not 0 <= offset <= self._last and not self._refill(address):
            return self._straddling(address)
        return int(_WORD.unpack_from(self._data, address - self._low)[0])

    def number(self, address: int, size: int) -> int | None:
        """The little-endian number of ``size`` bytes at ``address``, or None."""
        if size == 8:
            return self.word(address)
        data = self.bytes_at(address, size)
        return int.from_bytes(data, "little") if data is not None else None

    def bytes_at(self, address: int, size: int) -> bytes | None:
        """Exactly ``size`` bytes, or None."""
        if not 0 <= address <= ADDRESS_LIMIT - size:
            return None
        try:
            return self._memory.read(address, size)
        except MemoryUnreadable:
            return None

    def _straddling(self, address: int) -> int | None:
        data = self.bytes_at(address, 8)
        return int(_WORD.unpack(data)[0]) if data is not None else None

    def _refill(self, address: int) -> bool:
        """Makes the window hold the page of ``address``; False when it still does not hold all of the word."""
        if not 0 <= address <= ADDRESS_LIMIT - 8:
            return False
        page = address - address % _PAGE
        known = self._pages.get(page)
        if known is not None:
            self._low, self._data = known
            self._last = len(self._data) - 8
        elif not self._open(page, _PAGE):
            part = self._readable_part(page, address)
            if part is None or not self._open(part.low, part.size):
                return False
        return 0 <= address - self._low <= self._last

    def _readable_part(self, page: int, address: int) -> AddressRange | None:
        parts = self._memory.readable(AddressRange(page, min(page + _PAGE, ADDRESS_LIMIT)))
        return next((part for part in parts if address in part), None)

    def _open(self, low: int, size: int) -> bool:
        data = self.bytes_at(low, size)
        if data is None:
            return False
        if len(self._pages) >= _PAGES_KEPT:
            self._pages.clear()
        self._low, self._data, self._last = low, data, size - 8
        self._pages.setdefault(low - low % _PAGE, (low, data))
        return True
