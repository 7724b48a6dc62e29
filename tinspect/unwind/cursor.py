"""Where unwinding stands: the registers of one frame, by DWARF number, as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.arch import Architecture
from tinspect.model.frame import FrameSource
from tinspect.model.registers import RegisterSet

Registers = list[int | None]


class RegisterColumns:
    """How an architecture's registers map to DWARF numbers."""

    def __init__(self, architecture: Architecture) -> None:
        numbers = architecture.dwarf_registers
        self._names = [numbers.get(n) for n in range(max(numbers) + 1)]
        by_name = {name: number for number, name in numbers.items()}
        self.count = max(len(self._names), architecture.return_address_column + 1)
        self.sp = by_name[architecture.registers.sp]
        self.frame_pointer = by_name[architecture.frame_pointer]
        self.return_address = architecture.return_address_column
        self.by_name = by_name

    def load(self, registers: RegisterSet) -> Registers:
        """The registers of ``registers`` in DWARF's order, None for those it lacks: /proc tells pc and sp alone."""
        values = dict(registers)
        return [None if name is None else values.get(name) for name in self._names]

    def named(self, registers: Registers) -> tuple[tuple[str, int], ...]:
        """The known ones of ``registers`` by the architecture's names."""
        return tuple(
            (name, value)
            for name, number in self.by_name.items()
            if number < len(registers) and (value := registers[number]) is not None
        )


@dataclass(slots=True)
class Cursor:
    """One frame on the way. ``is_exact`` is True where ``pc`` is where the thread stands, not where a call will return to.

    ``source`` says how the frame was found.
    """

    registers: Registers
    pc: int
    sp: int
    is_exact: bool
    source: FrameSource

    @property
    def lookup(self) -> int:
        """The address to look up: a return address may already belong to the next function, after a call that never returns."""
        return self.pc if self.is_exact else self.pc - 1


@dataclass(slots=True)
class Caller:
    """The frame's CFA, and the frame that called it (None where the frame has no caller)."""

    cfa: int | None
    cursor: Cursor | None
