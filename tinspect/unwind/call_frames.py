"""One step up by call frame information (DWARF 5, 6.4.3)."""

from __future__ import annotations

from collections.abc import Callable

from tinspect.errors import FormatError
from tinspect.formats.cfi import RegisterRule, RuleKind
from tinspect.formats.dwarf_expression import ExpressionContext, LocationKind, evaluate
from tinspect.model.frame import FrameSource
from tinspect.unwind.cursor import Caller, Cursor, RegisterColumns, Registers
from tinspect.unwind.stack_words import StackWords
from tinspect.unwind.steps import UnwindStep

_ADDRESS_BITS = (1 << 48) - 1
_MASK = (1 << 64) - 1


class CannotUnwind(Exception):
    """Why a frame's caller cannot be had: ``why`` is a clause."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def step_up(step: UnwindStep, cursor: Cursor, words: StackWords, columns: RegisterColumns) -> Caller:
    """The CFA of the frame at ``cursor`` and its caller. Raises CannotUnwind."""
    registers = cursor.registers
    if step.cfa_expression or step.cfa_register >= len(registers):
        cfa = _evaluate(step.cfa_expression, registers, words, None)
    else:
        base = registers[step.cfa_register]
        cfa = None if base is None else (base + step.cfa_offset) & _MASK
    if cfa is None:
        raise CannotUnwind("its frame address depends on a register or memory that is not known")
    if step.is_last:
        return Caller(cfa, None)
    word = words.word
    caller = registers.copy()
    caller[columns.sp] = cfa
    for register, offset in step.saved:
        if register < len(caller):
            caller[register] = word(cfa + offset)
    for register, rule in step.others:
        if register < len(caller):
            caller[register] = _apply(rule, register, cfa, registers, words)
    pc, sp = caller[step.return_column] if step.return_column < len(caller) else None, caller[columns.sp]
    if pc is None or sp is None:
        raise CannotUnwind("its return address lies in memory that cannot be read")
    if step.address_signed:
        pc &= _ADDRESS_BITS  # the bits above hold the signature; user addresses have 48
    source = FrameSource.SIGFRAME if step.is_signal_frame else FrameSource.CFI
    return Caller(cfa, Cursor(caller, pc, sp, step.is_signal_frame, source))


def _apply(rule: RegisterRule, register: int, cfa: int, registers: Registers, words: StackWords) -> int | None:
    match rule.kind:
        case RuleKind.SAME_VALUE:
            return registers[register]
        case RuleKind.VAL_OFFSET:
            return (cfa + rule.value) & _MASK
        case RuleKind.REGISTER:
            return registers[rule.value] if rule.value < len(registers) else None
        case RuleKind.EXPRESSION:
            address = _evaluate(rule.expression, registers, words, cfa)
            return None if address is None else words.word(address)
        case RuleKind.VAL_EXPRESSION:
            return _evaluate(rule.expression, registers, words, cfa)
        case _:
            return None


def _evaluate(expression: bytes, registers: Registers, words: StackWords, cfa: int | None) -> int | None:
    """The value of an expression of call frame information; ``cfa`` lies on its stack, save where the CFA itself is asked."""
    known = {number: value for number, value in enumerate(registers) if value is not None}
    read: Callable[[int, int], int | None] = words.number
    try:
        location = evaluate(expression, ExpressionContext(known, read), () if cfa is None else (cfa,))
    except FormatError as error:
        raise CannotUnwind(error.message) from error
    return location.value if location is not None and location.kind is LocationKind.MEMORY else None
