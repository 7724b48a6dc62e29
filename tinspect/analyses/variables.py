"""Names of variables for addresses in frames and in static data, from debug information."""

from __future__ import annotations

from typing import Protocol

from tinspect.model.frame import Frame, FrameSource
from tinspect.symbols.table import SymbolTable
from tinspect.symbols.variables import FrameValues, Variable
from tinspect.unwind.unwinder import Unwinder

UNIT_LIMIT = 256 << 10


class Variables(Protocol):
    """Finds variables; answers None where debug information tells none. No method raises."""

    def find_local(self, frame: Frame, address: int, /, *, thorough: bool = False) -> Variable | None:
        """The variable or parameter of the function of ``frame`` that lies at ``address``. ``thorough``: however long it takes."""
        ...

    def find_global(self, address: int, /) -> Variable | None:
        """The variable of static storage that holds ``address``."""
        ...


class NoVariables:
    """Fulfils Variables where there is no debug information to ask."""

    def find_local(self, _frame: Frame, _address: int, *, thorough: bool = False) -> Variable | None:  # noqa: ARG002 (the protocol's name)
        """See Variables."""
        return None

    def find_global(self, _address: int) -> Variable | None:
        """See Variables."""
        return None


class DebugVariables:
    """Fulfils Variables by the debug information of the target's modules.

    Where a variable lies in its frame is the same in every frame that stands at the same pc: a place without one is looked up once.
    Units whose debug information has more than UNIT_LIMIT bytes are left out unless the caller wants a thorough look: reading a
    megabyte of it takes seconds.
    """

    def __init__(self, symbols: SymbolTable, unwinder: Unwinder) -> None:
        self._symbols = symbols
        self._unwinder = unwinder
        self._nothing_at: set[tuple[int, int]] = set()

    def find_local(self, frame: Frame, address: int, *, thorough: bool = False) -> Variable | None:
        """See Variables."""
        if frame.cfa is None:
            return None
        key = (frame.pc, address - frame.cfa)
        if key in self._nothing_at and not thorough:
            return None
        is_exact = frame.source in (FrameSource.REGISTERS, FrameSource.SIGFRAME)
        values = FrameValues(frame.cfa, self._unwinder.frame_registers(frame))
        pc = frame.pc if is_exact else frame.pc - 1
        found = self._symbols.find_variable(pc, values, address, None if thorough else UNIT_LIMIT)
        if found is None:
            self._nothing_at.add(key)
        return found

    def find_global(self, address: int) -> Variable | None:
        """See Variables."""
        return self._symbols.find_global(address)
