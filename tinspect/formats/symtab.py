"""ELF symbol tables, read in bulk: 100,000 symbols in some 50 ms. Names stay bytes of the file until one is shown."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import (
    DT_GNU_HASH,
    DT_HASH,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERSYM,
    SHN_ABS,
    SHN_UNDEF,
    STB_LOCAL,
    STT_FUNC,
    STT_GNU_IFUNC,
    STT_NOTYPE,
    STT_OBJECT,
    STT_TLS,
)
from tinspect.formats.section_data import read_bytes_string

_ENTRY = 24  # Elf64_Sym
_TLS_BLOCK = b"_TLS_MODULE_BASE_"  # defined by the linker for TLS descriptors
_ADDRESS_KINDS = frozenset((STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_GNU_IFUNC))
_LOOK_BACK = 64  # how many symbols before an address may be asked whether they cover it
_SYMBOL_LIMIT = 8_000_000


@dataclass(frozen=True, slots=True)
class Symbol:
    """One symbol. ``address`` is a virtual address of the file (an offset in the TLS block for STT_TLS); ``section`` its index."""

    name: bytes
    address: int
    size: int
    kind: int
    binding: int
    section: int

    @property
    def is_function(self) -> bool:
        """Whether it is code by its type."""
        return self.kind in (STT_FUNC, STT_GNU_IFUNC)


class SymbolIndex:
    """The defined symbols of one table (Elf64_Sym records over a string table), to be asked by address and by name.

    Any bytes are accepted: what lies outside the tables is left out. ``versions`` is .gnu.version where there is one; symbols
    hidden by it (old versions, ``name@VERSION``) yield to the default one.
    """

    def __init__(self, data: memoryview, strings: memoryview, versions: memoryview | None = None) -> None:
        count = min(len(data) // _ENTRY, _SYMBOL_LIMIT)
        words = data[: count * _ENTRY].cast("Q") if count else memoryview(b"").cast("Q")
        self._heads = words[0::3].tolist()  # name:32 info:8 other:8 section:16
        self._values = array("Q", words[1::3].tolist())
        self._sizes = words[2::3]
        self._strings = strings
        self._versions = (
            versions[: count * 2].cast("H") if versions is not None and len(versions) >= count * 2 else None
        )

    def __len__(self) -> int:
        return len(self._heads)

    @cached_property
    def _by_address(self) -> tuple[array[int], array[int]]:
        """Sorted addresses, and beside them the indices of their symbols."""
        kinds, skipped = _ADDRESS_KINDS, (SHN_UNDEF, SHN_ABS)
        chosen = [
            index
            for index, head in enumerate(self._heads)
            if (head >> 32) & 15 in kinds
            and head >> 48 not in skipped
            and head & 0xFFFFFFFF
            and not ((head >> 32) & 15 == STT_NOTYPE and self._is_mark(head & 0xFFFFFFFF))
        ]
        chosen.sort(key=self._values.__getitem__)
        values = self._values
        return array("Q", [values[index] for index in chosen]), array("I", chosen)

    @cached_property
    def _text(self) -> bytes:
        return bytes(self._strings)

    @cached_property
    def _by_name_offset(self) -> dict[int, int]:
        """Index of the symbol by offset of its name; of several, the one other files would be bound to."""
        result: dict[int, int] = {}
        for index, head in enumerate(self._heads):
            if head >> 48 != SHN_UNDEF:
                known = result.setdefault(head & 0xFFFFFFFF, index)
                if known != index and self._binding_rank(index) < self._binding_rank(known):
                    result[head & 0xFFFFFFFF] = index
        return result

    def _is_mark(self, name: int) -> bool:
        """Whether the name at that offset only marks where code ("$x") or data ("$d") begins (AAELF64, mapping symbols)."""
        return bytes(self._strings[name : name + 1]) == b"$"

    def _binding_rank(self, index: int) -> tuple[bool, bool]:
        hidden = self._versions is not None and bool(self._versions[index] & 0x8000)
        return hidden, (self._heads[index] >> 36) & 15 == STB_LOCAL

    def _symbol(self, index: int) -> Symbol:
        head = self._heads[index]
        name = read_bytes_string(self._strings, head & 0xFFFFFFFF)
        return Symbol(name, self._values[index], self._sizes[index], (head >> 32) & 15, (head >> 36) & 15, head >> 48)

    def find(self, address: int) -> Symbol | None:
        """The symbol that covers ``address``: the nearest one with a size that reaches it, else the very nearest if it has no size.

        The caller must check that a symbol of size 0 lies in the section of ``address``.
        """
        addresses, indices = self._by_address
        position = bisect_right(addresses, address) - 1
        unsized: int | None = None
        for place in range(position, max(position - _LOOK_BACK, -1), -1):
            index = indices[place]
            start, size = self._values[index], self._sizes[index]
            if size and address < start + size:
                return self._best_at(place, addresses, indices)
            if not size and start == addresses[position]:
                unsized = index
        return self._symbol(unsized) if unsized is not None else None

    def _best_at(self, place: int, addresses: array[int], indices: array[int]) -> Symbol:
        """Of the sized symbols that start where the one at ``place`` starts, the one a person would call it by."""
        start = addresses[place]
        low = place
        while low > 0 and addresses[low - 1] == start and place - low < _LOOK_BACK:
            low -= 1
        same = [self._symbol(indices[i]) for i in range(low, place + 1) if self._sizes[indices[i]]]
        return min(same, key=_plainness)

    def find_named(self, name: bytes) -> Symbol | None:
        """The defined symbol called ``name``, without its version; or None."""
        if not name or b"\0" in name:
            return None
        for ending in (b"\0", b"@@"):  # .symtab writes the default version into the name
            position = self._text.find(name + ending)
            while position >= 0:
                index = self._by_name_offset.get(position)
                if index is not None:
                    return self._symbol(index)
                position = self._text.find(name + ending, position + 1)
        return None

    def tls_symbols(self) -> Iterator[Symbol]:
        """The defined thread-local variables, in the table's order: no marks, nor the linker's name for where a block begins."""
        for index, head in enumerate(self._heads):
            if (head >> 32) & 15 != STT_TLS or head >> 48 == SHN_UNDEF or self._is_mark(head & 0xFFFFFFFF):
                continue
            symbol = self._symbol(index)
            if symbol.name != _TLS_BLOCK:
                yield symbol

    def name_at(self, index: int) -> bytes | None:
        """The name of the table's entry ``index`` (as relocations count them), defined or not."""
        return self._symbol(index).name if 0 <= index < len(self._heads) else None


def _plainness(symbol: Symbol) -> tuple[bool, int, bool, bytes]:
    underscores = len(symbol.name) - len(symbol.name.lstrip(b"_")) if not symbol.name.startswith((b"_Z", b"_R")) else 0
    return not symbol.is_function, underscores, symbol.binding == STB_LOCAL, symbol.name


def parse_section_symbols(image: ElfImage, name: str, strings: str) -> SymbolIndex | None:
    """The symbol table of a section (".symtab" with ".strtab"), or None."""
    data, text = image.find_section_data(name), image.find_section_data(strings)
    return SymbolIndex(data, text) if data is not None and text is not None else None


def parse_dynamic_symbols(image: ElfImage, load_bias: int = 0) -> SymbolIndex | None:
    """The dynamic symbol table, found without section headers; or None.

    ``load_bias`` is for an image taken from memory, where the dynamic linker has relocated the pointers of the dynamic section.
    """
    table, text = _dynamic_data(image, DT_SYMTAB, load_bias), _dynamic_data(image, DT_STRTAB, load_bias)
    if table is None or text is None:
        return None
    count = _dynamic_count(image, load_bias)
    size = image.find_dynamic(DT_STRSZ)
    return SymbolIndex(table[: count * _ENTRY], text[:size], _dynamic_data(image, DT_VERSYM, load_bias))


def _dynamic_count(image: ElfImage, load_bias: int) -> int:
    """How many dynamic symbols there are. A DT_GNU_HASH that holds none does not tell how many undefined ones precede."""
    section = image.find_section(".dynsym")
    if section is not None and section.address == image.find_dynamic(DT_SYMTAB):
        return section.size // _ENTRY
    count = _hash_count(_dynamic_data(image, DT_HASH, load_bias))
    if count is None:
        count = _gnu_hash_count(_dynamic_data(image, DT_GNU_HASH, load_bias))
    return count or 0


def _dynamic_data(image: ElfImage, tag: int, load_bias: int) -> memoryview | None:
    address = image.find_dynamic(tag)
    if address is None:
        return None
    data = image.data_from(address)
    return data if data is not None or not load_bias else image.data_from(address - load_bias)


def _hash_count(data: memoryview | None) -> int | None:
    """gABI: the chain array of DT_HASH has an entry for each symbol."""
    return int.from_bytes(data[4:8], "little") if data is not None and len(data) >= 8 else None


def _gnu_hash_count(data: memoryview | None) -> int | None:
    """DT_GNU_HASH: one past the end of the chain that starts last (its end is marked by bit 0)."""
    if data is None or len(data) < 16:
        return None
    bucket_count, first_symbol, bloom_size = data[:12].cast("I").tolist()
    start = 16 + bloom_size * 8
    buckets = data[start : start + bucket_count * 4]
    last = max(buckets[: len(buckets) // 4 * 4].cast("I").tolist(), default=0)
    if last < first_symbol:
        return first_symbol
    chain_start = start + bucket_count * 4
    position = chain_start + (last - first_symbol) * 4
    while position + 4 <= len(data):
        if data[position] & 1:
            return (position - chain_start) // 4 + first_symbol + 1
        position += 4
    return None


__all__ = ["Symbol", "SymbolIndex", "parse_dynamic_symbols", "parse_section_symbols"]
