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
