"""What the debug information of one module tells, on demand. Addresses here are virtual addresses of the file."""

from __future__ import annotations

from functools import cached_property

from tinspect.errors import FormatError
from tinspect.model.module import Module
from tinspect.symbols.dwarf_file import DwarfFile
from tinspect.symbols.functions import FunctionIndex
from tinspect.symbols.images import ImageStore
from tinspect.symbols.lines import find_source_line
from tinspect.symbols.protocol import SourceLine
from tinspect.symbols.variables import FrameValues, Variable, find_global, find_local, find_thread_locals

_LINE_CACHE = 1 << 14


class ModuleDebug:
    """DWARF of the module's own file, or else of its separate debug file. Never raises: what cannot be read is not known."""

    def __init__(self, images: ImageStore, module: Module) -> None:
        self._images = images
        self._module = module
        self._lines: dict[int, SourceLine | None] = {}

    @cached_property
    def _dwarf(self) -> DwarfFile | None:
        for image in (self._images.find_image(self._module), self._images.find_debug_image(self._module)):
            if image is not None:
                dwarf = DwarfFile(image)
                if dwarf.has_info:
                    return dwarf
        return None

    @cached_property
    def _functions(self) -> FunctionIndex | None:
        return FunctionIndex(self._dwarf) if self._dwarf is not None else None

    def find_line(self, pc: int) -> SourceLine | None:
        """File, line and inlined functions of ``pc``, or None."""
        if self._dwarf is None or self._functions is None:
            return None
        if pc not in self._lines:
            if len(self._lines) >= _LINE_CACHE:
                self._lines.clear()
            try:
                self._lines[pc] = find_source_line(self._dwarf, self._functions, pc)
            except FormatError:
                self._lines[pc] = None
        return self._lines[pc]

    def find_local(self, pc: int, frame: FrameValues, address: int, unit_limit: int | None = None) -> Variable | None:
        """The local variable at ``address`` of the target in the frame whose code stands at ``pc``, or None.

        ``unit_limit``: see FunctionIndex.find.
        """
        if self._dwarf is None or self._functions is None:
            return None
        try:
            return find_local(self._dwarf, self._functions, pc, frame, address, unit_limit)
        except FormatError:
            return None

    def find_global(self, address: int) -> Variable | None:
        """The global variable at ``address``, or None. Searches all debug information: ask for addresses of known symbols."""
        try:
            return find_global(self._dwarf, address) if self._dwarf is not None else None
        except FormatError:
            return None

    @cached_property
    def thread_locals(self) -> tuple[Variable, ...]:
        """The thread-local variables by their offset in the TLS block, as far as debug information describes them."""
        try:
            return tuple(find_thread_locals(self._dwarf)) if self._dwarf is not None else ()
        except FormatError:
            return ()
