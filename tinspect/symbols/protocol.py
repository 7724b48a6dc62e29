"""What the layers above ask of symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tinspect.model.module import Module


@dataclass(frozen=True, slots=True)
class SymbolHit:
    """An address named: ``offset`` bytes past the start of ``name`` (demangled) in ``module``. ``size`` 0 when the symbol has none."""

    name: str
    offset: int
    module: Module
    address: int
    size: int = 0
    is_function: bool = True


@dataclass(frozen=True, slots=True)
class SourceLine:
    """Where an address comes from, by .debug_line; ``inlined`` are the functions inlined there, innermost first."""

    file: str
    line: int
    inlined: tuple[str, ...] = ()


class Symbolizer(Protocol):
    """Names for addresses. Answers are cached; no method raises for a damaged or missing file: it answers None."""

    def find_symbol(self, address: int) -> SymbolHit | None:
        """The function or object that holds ``address``, or None."""
        ...

    def find_address(self, name: str, module: str | None = None) -> int | None:
        """The address of the symbol called ``name``, in the module whose file name starts with ``module`` or in any; or None."""
        ...

    def find_section(self, address: int) -> str | None:
        """The name of the section of its module that ``address`` lies in, or None."""
        ...

    def find_line(self, address: int) -> SourceLine | None:
        """File and line of a code address, or None. May take long the first time a module is asked.

        For a return address give the byte before it: the call is what runs in that frame.
        """
        ...
