"""The Symbolizer over all modules of a target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinspect.formats.elf_constants import PT_TLS
from tinspect.model.module import Module, ModuleTable
from tinspect.symbols.demangle import demangle
from tinspect.symbols.images import ImageKey, ImageStore, image_key
from tinspect.symbols.module_symbols import ModuleSymbols
from tinspect.symbols.protocol import SourceLine, SymbolHit

if TYPE_CHECKING:
    from tinspect.symbols.data_types import DataType
    from tinspect.symbols.module_debug import ModuleDebug
    from tinspect.symbols.variables import FrameValues, Variable

_CACHE_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class ThreadLocalVariable:
    """A thread-local variable of a module: ``offset`` in its TLS block and ``size`` in bytes (0: unknown)."""

    name: str
    offset: int
    size: int
    type: DataType | None = None

    @property
    def type_name(self) -> str | None:
        """Its type as the source has it, or None."""
        return self.type.name if self.type is not None else None

    def render(self, data: bytes) -> str | None:
        """The value that ``data`` holds, in words; None where only the bytes can be shown."""
        return self.type.render(data) if self.type is not None else None


class SymbolStore:
    """The symbols of every file seen so far, by build id: share one among the captures of a process (``--watch``)."""

    def __init__(self, images: ImageStore) -> None:
        self.images = images
        self._modules: dict[ImageKey, ModuleSymbols] = {}
        self._debug: dict[ImageKey, ModuleDebug] = {}

    def module_symbols(self, module: Module) -> ModuleSymbols:
        """The symbols of ``module``, read when first asked for."""
        key = image_key(module)
        found = self._modules.get(key)
        if found is None:
            found = self._modules[key] = ModuleSymbols(self.images, module)
        return found

    def debug(self, module: Module) -> ModuleDebug:
        """The debug information of ``module``, read when first asked for."""
        key = image_key(module)
        found = self._debug.get(key)
        if found is None:
            from tinspect.symbols.module_debug import ModuleDebug

            found = self._debug[key] = ModuleDebug(self.images, module)
        return found


class SymbolTable:
    """Names for the addresses of one target: fulfils ``symbols.protocol.Symbolizer``."""

    def __init__(self, modules: ModuleTable, store: SymbolStore) -> None:
        self._modules = modules
        self._store = store
        self._hits: dict[int, SymbolHit | None] = {}

    def find_symbol(self, address: int) -> SymbolHit | None:
        """See Symbolizer."""
        if address in self._hits:
            return self._hits[address]
        if len(self._hits) >= _CACHE_LIMIT:
            self._hits.clear()
        hit = self._hits[address] = self._find(address)
        return hit

    def _find(self, address: int) -> SymbolHit | None:
        module = self._modules.find(address)
        if module is None:
            return None
        symbol = self._store.module_symbols(module).find(address - module.load_bias)
        if symbol is None:
            return None
        start = symbol.address + module.load_bias
        return SymbolHit(demangle(symbol.name), address - start, module, start, symbol.size, symbol.is_function)

    def find_address(self, name: str, module: str | None = None) -> int | None:
        """See Symbolizer. The executable is asked first, then the other modules by address."""
        raw = name.encode("utf-8", "surrogateescape")
        for candidate in self._candidates(module):
            symbol = self._store.module_symbols(candidate).find_named(raw)
            if symbol is not None:
                return symbol.address + candidate.load_bias
        return None

    def _candidates(self, name: str | None) -> Iterable[Module]:
        ordered = sorted(self._modules, key=lambda module: not module.is_main)
        if name is None:
            return ordered
        return [m for m in ordered if (m.path or m.name).rpartition("/")[2].startswith(name)]

    def find_section(self, address: int) -> str | None:
        """See Symbolizer."""
        module = self._modules.find(address)
        image = self._store.images.find_image(module) if module is not None else None
        section = image.section_at(address - module.load_bias) if module is not None and image is not None else None
        return section.name if section is not None else None

    def find_line(self, address: int) -> SourceLine | None:
        """See Symbolizer."""
        module = self._modules.find(address)
        return self._store.debug(module).find_line(address - module.load_bias) if module is not None else None

    def find_variable(
        self, pc: int, frame: FrameValues, address: int, unit_limit: int | None = None
    ) -> Variable | None:
        """The local variable that lies at ``address`` in the frame whose code stands at ``pc`` (pc − 1 for a return address), or None.

        Its ``place`` is its address. May take long the first time a unit is asked: ``unit_limit`` is the most bytes of debug
        information of one unit to read for the answer.
        """
        module = self._modules.find(pc)
        if module is None:
            return None
        return self._store.debug(module).find_local(pc - module.load_bias, frame, address, unit_limit)

    def find_global(self, address: int) -> Variable | None:
        """The global variable that holds ``address``, with its type where debug information tells it; or None."""
        module = self._modules.find(address)
        symbol = self._store.module_symbols(module).find(address - module.load_bias) if module is not None else None
        if module is None or symbol is None or symbol.is_function or not symbol.size:
            return None
        from tinspect.symbols.data_types import DataType
        from tinspect.symbols.variables import Variable

        start = symbol.address + module.load_bias
        described = self._store.debug(module).find_global(symbol.address)
        data_type = described.type if described is not None else DataType("?", symbol.size)
        return Variable(demangle(symbol.name), start, data_type)

    def tls_variables(self, module: Module) -> tuple[ThreadLocalVariable, ...]:
        """The thread-local variables of ``module`` by their offset in its TLS block: from debug information, else from its symbols."""
        image = self._store.images.find_image(module)
        segment = image.find_segment(PT_TLS) if image is not None else None
        if segment is None:
            return ()
        found = {
            variable.place: ThreadLocalVariable(variable.name, variable.place, variable.size, variable.type)
            for variable in self._store.debug(module).thread_locals
        }
        for symbol in self._store.module_symbols(module).tls_symbols():
            known = found.get(symbol.address)
            if known is None or known.size == 0:
                found[symbol.address] = ThreadLocalVariable(demangle(symbol.name), symbol.address, symbol.size)
        return tuple(found[offset] for offset in sorted(found) if offset < segment.memory_size)


def open_symbols(modules: ModuleTable, images: ImageStore) -> SymbolTable:
    """A symbol table with a store of its own."""
    return SymbolTable(modules, SymbolStore(images))
