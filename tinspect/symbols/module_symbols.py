"""The symbols of one module, from every table that has some. Addresses here are virtual addresses of the file."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from tinspect.formats.elf import ElfImage
from tinspect.formats.elf_constants import STT_FUNC
from tinspect.formats.plt import parse_plt_slots, parse_slot_symbols
from tinspect.formats.symtab import Symbol, SymbolIndex, parse_dynamic_symbols, parse_section_symbols
from tinspect.model.module import Module
from tinspect.symbols.images import ImageStore


class ModuleSymbols:
    """Asks, in this order: .symtab of the file; that of its separate debug file; .dynsym and .gnu_debugdata; the PLT."""

    def __init__(self, images: ImageStore, module: Module) -> None:
        self._images = images
        self._module = module
        self._image = images.find_image(module)

    @cached_property
    def _dynamic(self) -> SymbolIndex | None:
        return parse_dynamic_symbols(self._image, self._module.load_bias) if self._image is not None else None

    @cached_property
    def _tables(self) -> tuple[tuple[ElfImage, SymbolIndex], ...]:
        """The tables to ask by address, each with the image whose sections its symbols count."""
        if self._image is not None:
            full = parse_section_symbols(self._image, ".symtab", ".strtab")
            if full is not None:
                return ((self._image, full),)
        debug = self._images.find_debug_image(self._module)
        full = parse_section_symbols(debug, ".symtab", ".strtab") if debug is not None else None
        if debug is not None and full is not None:
            return ((debug, full),)
        result = []
        mini = self._images.find_mini_image(self._module)
        static = parse_section_symbols(mini, ".symtab", ".strtab") if mini is not None else None
        if mini is not None and static is not None:
            result.append((mini, static))
        if self._image is not None and self._dynamic is not None:
            result.append((self._image, self._dynamic))
        return tuple(result)

    @cached_property
    def _plt(self) -> tuple[list[int], list[Symbol]]:
        """Sorted starts of PLT entries, and the symbols made up for them."""
        if self._image is None or self._dynamic is None:
            return [], []
        names = parse_slot_symbols(self._image)
        entries: list[Symbol] = []
        for address, size, slot in parse_plt_slots(self._image):
            index, addend = names.get(slot, (0, 0))
            name = self._dynamic.name_at(index) if index else self._resolver_name(addend)
            if name:
                entries.append(Symbol(name + b"@plt", address, size, STT_FUNC, 0, 0))
        entries.sort(key=lambda symbol: symbol.address)
        return [symbol.address for symbol in entries], entries

    def _resolver_name(self, address: int) -> bytes | None:
        symbol = self._find_in_tables(address) if address else None
        return symbol.name if symbol is not None and symbol.address == address else None

    def find(self, address: int) -> Symbol | None:
        """The symbol that covers ``address``, or None. A name is never stretched over code or data that it does not cover."""
        return self._find_in_tables(address) or self._find_plt(address)

    def _find_in_tables(self, address: int) -> Symbol | None:
        unsized = None
        for image, index in self._tables:
            symbol = index.find(address)
            if symbol is None:
                continue
            if symbol.size:
                return symbol
            # A symbol without a size (hand-written assembly) reaches to the next symbol, but not out of its section.
            section = image.section_at(address)
            if section is not None and section is _section(image, symbol.section):
                unsized = unsized or symbol
        return unsized

    def _find_plt(self, address: int) -> Symbol | None:
        section = self._image.section_at(address) if self._image is not None else None
        if section is None or not section.name.startswith((".plt", ".iplt")):
            return None
        starts, entries = self._plt
        place = bisect_right(starts, address) - 1
        if place < 0 or address >= starts[place] + entries[place].size:
            return None
        return entries[place]

    def find_named(self, name: bytes) -> Symbol | None:
        """The symbol called ``name`` (as in the file: mangled, without version), exported ones first; or None."""
        symbol = self._dynamic.find_named(name) if self._dynamic is not None else None
        if symbol is not None:
            return symbol
        for _, index in self._tables:
            symbol = index.find_named(name)
            if symbol is not None:
                return symbol
        return None

    def tls_symbols(self) -> tuple[Symbol, ...]:
        """The defined thread-local symbols by their offset in the module's TLS block, one for each offset and size."""
        found = {(s.address, s.size): s for _, index in self._tables for s in index.tls_symbols() if s.name}
        return tuple(found[key] for key in sorted(found))


def _section(image: ElfImage, index: int) -> object:
    return image.sections[index] if index < len(image.sections) else None
