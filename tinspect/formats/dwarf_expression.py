"""DWARF expressions (DWARF 5, 2.5 and 2.6), evaluated over a frame's registers and the target's memory, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from tinspect.errors import FormatError
from tinspect.formats.dwarf_reader import MASK, DwarfReader

_STEP_LIMIT = 10_000
_STACK_LIMIT = 256

ReadUnsigned = Callable[[int, int], int | None]
"""(address, size) → the little-endian number there, or None."""


class LocationKind(IntEnum):
    """What the value of an expression is."""

    MEMORY = 0  # an address
    REGISTER = 1  # the number of the register that holds the object
    VALUE = 2  # the object's value itself (DW_OP_stack_value)
    TLS = 3  # an offset in the module's TLS block


@dataclass(frozen=True, slots=True)
class Location:
    """The result of an expression."""

    kind: LocationKind
    value: int


@dataclass(frozen=True, slots=True)
class ExpressionContext:
    """What an expression may ask for. ``registers`` are by DWARF number; ``load_bias`` is added to the addresses of DW_OP_addr;
    ``addresses`` resolves DW_OP_addrx."""

    registers: Mapping[int, int] = field(default_factory=dict)
    read: ReadUnsigned | None = None
    cfa: int | None = None
    frame_base: int | None = None
    load_bias: int = 0
    addresses: Callable[[int], int | None] | None = None


def evaluate(expression: bytes, context: ExpressionContext, initial: tuple[int, ...] = ()) -> Location | None:
    """The location or value ``expression`` gives; None when it needs what cannot be had, or is in pieces. Raises FormatError."""
    return _Evaluator(expression, context, initial).run()


class _Unknown(Exception):
    """The expression asks for a register, memory or an operation that is not there."""


class _Evaluator:
    def __init__(self, expression: bytes, context: ExpressionContext, initial: tuple[int, ...]) -> None:
        self.reader = DwarfReader(expression)
        self.context = context
        self.stack = list(initial)
        self.kind = LocationKind.MEMORY

    def run(self) -> Location | None:
        try:
            for _ in range(_STEP_LIMIT):
                if self.reader.at_end:
                    return Location(self.kind, self.pop())
                self.step(self.reader.uint8())
        except _Unknown:
            return None
        raise FormatError("a DWARF expression that does not end.")

    def push(self, value: int) -> None:
        if len(self.stack) >= _STACK_LIMIT:
            raise FormatError("a DWARF expression with too deep a stack.")
        self.stack.append(value & MASK)

    def pop(self) -> int:
        if not self.stack:
            raise FormatError("a DWARF expression that takes from an empty stack.")
        return self.stack.pop()

    def known(self, value: int | None) -> int:
        if value is None:
            raise _Unknown
        return value

    def indexed(self, index: int) -> int:
        """Entry ``index`` of .debug_addr."""
        return self.known(self.context.addresses(index) if self.context.addresses is not None else None)

    def loaded(self, size: int) -> int:
        """The number in memory at the address on top of the stack."""
        address = self.pop()
        return self.known(self.context.read(address, size) if self.context.read is not None else None)

    def step(self, opcode: int) -> None:
        if 0x30 <= opcode <= 0x4F:  # lit0..31
            self.push(opcode - 0x30)
        elif 0x50 <= opcode <= 0x6F:  # reg0..31
            self.kind = LocationKind.REGISTER
            self.push(opcode - 0x50)
        elif 0x70 <= opcode <= 0x8F:  # breg0..31
            self.push(self.known(self.context.registers.get(opcode - 0x70)) + self.reader.sleb128())
        elif not any(part(opcode) for part in (self.constant, self.shuffle, self.arithmetic, self.control, self.place)):
            raise _Unknown

    def constant(self, opcode: int) -> bool:
        reader = self.reader
        if 0x08 <= opcode <= 0x0F:  # const1u, const1s … const8s
            self.push(reader.fixed(1 << ((opcode - 0x08) // 2), bool(opcode & 1)))
        elif opcode == 0x10:
            self.push(reader.uleb128())
        elif opcode == 0x11:
            self.push(reader.sleb128())
        elif opcode == 0x03:  # addr
            self.push(reader.fixed(8) + self.context.load_bias)
        elif opcode == 0xA1:  # addrx
            self.push(self.indexed(reader.uleb128()) + self.context.load_bias)
        elif opcode == 0xA2:  # constx
            self.push(self.indexed(reader.uleb128()))
        else:
            return False
        return True

    def shuffle(self, opcode: int) -> bool:
        stack = self.stack
        if opcode not in (0x12, 0x13, 0x14, 0x15, 0x16, 0x17):
            return False
        depth = {0x12: 0, 0x13: 0, 0x14: 1, 0x16: 1, 0x17: 2}.get(opcode)
        if depth is None:  # pick
            depth = self.reader.uint8()
        if depth >= len(stack):
            raise FormatError("a DWARF expression that reaches below its stack.")
        if opcode == 0x13:  # drop
            stack.pop()
        elif opcode == 0x16:  # swap
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif opcode == 0x17:  # rot
            stack[-1], stack[-2], stack[-3] = stack[-2], stack[-3], stack[-1]
        else:  # dup, over, pick
            self.push(stack[-1 - depth])
        return True

    def arithmetic(self, opcode: int) -> bool:
        if opcode in _UNARY:
            self.push(_UNARY[opcode](_signed(self.pop())))
        elif opcode == 0x23:  # plus_uconst
            self.push(self.pop() + self.reader.uleb128())
        elif opcode in _BINARY:
            right, left = self.pop(), self.pop()
            if right == 0 and opcode in (0x1B, 0x1D):
                raise FormatError("a DWARF expression that divides by zero.")
            self.push(_BINARY[opcode](left, right))
        else:
            return False
        return True

    def control(self, opcode: int) -> bool:
        """Memory and control flow."""
        reader = self.reader
        match opcode:
            case 0x06:  # deref
                self.push(self.loaded(8))
            case 0x94:  # deref_size
                size = reader.uint8()
                if size not in (1, 2, 4, 8):
                    raise FormatError(f"a DWARF expression that reads {size} bytes.")
                self.push(self.loaded(size))
            case 0x28:  # bra
                offset = reader.fixed(2, True)
                self.jump(offset if self.pop() else 0)
            case 0x2F:  # skip
                self.jump(reader.fixed(2, True))
            case 0x96:  # nop
                pass
            case _:
                return False
        return True

    def place(self, opcode: int) -> bool:
        """The operations about the frame, and those that say what the result is."""
        reader, context = self.reader, self.context
        match opcode:
            case 0x90:  # regx
                self.kind = LocationKind.REGISTER
                self.push(reader.uleb128())
            case 0x92:  # bregx
                register = reader.uleb128()
                self.push(self.known(context.registers.get(register)) + reader.sleb128())
            case 0x91:  # fbreg
                self.push(self.known(context.frame_base) + reader.sleb128())
            case 0x9C:  # call_frame_cfa
                self.push(self.known(context.cfa))
            case 0x9B | 0xE0:  # form_tls_address, GNU_push_tls_address
                self.kind = LocationKind.TLS
            case 0x9F:  # stack_value
                self.kind = LocationKind.VALUE
            case _:
                return False
        return True

    def jump(self, offset: int) -> None:
        position = self.reader.position + offset
        if not 0 <= position <= self.reader.end:
            raise FormatError("a DWARF expression that jumps out of itself.")
        self.reader.position = position


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _divide(left: int, right: int) -> int:
    left, right = _signed(left), _signed(right)
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


_UNARY: Mapping[int, Callable[[int], int]] = {0x19: abs, 0x1F: lambda value: -value, 0x20: lambda value: ~value}
_BINARY: Mapping[int, Callable[[int, int], int]] = {
    0x1A: lambda left, right: left & right,
    0x1B: _divide,
    0x1C: lambda left, right: left - right,
    0x1D: lambda left, right: left % right,
    0x1E: lambda left, right: left * right,
    0x21: lambda left, right: left | right,
    0x22: lambda left, right: left + right,
    0x24: lambda left, right: left << right if right < 64 else 0,
    0x25: lambda left, right: left >> right if right < 64 else 0,
    0x26: lambda left, right: _signed(left) >> min(right, 63),
    0x27: lambda left, right: left ^ right,
    0x29: lambda left, right: int(_signed(left) == _signed(right)),
    0x2A: lambda left, right: int(_signed(left) >= _signed(right)),
    0x2B: lambda left, right: int(_signed(left) > _signed(right)),
    0x2C: lambda left, right: int(_signed(left) <= _signed(right)),
    0x2D: lambda left, right: int(_signed(left) < _signed(right)),
    0x2E: lambda left, right: int(_signed(left) != _signed(right)),
}
