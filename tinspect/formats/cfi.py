"""Call frame instructions (DWARF 5, 6.4): from the bytes of a CIE and an FDE to the row of rules that holds at one pc."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from tinspect.errors import FormatError
from tinspect.formats.dwarf_reader import DwarfReader

_INSTRUCTION_LIMIT = 100_000
_STATE_LIMIT = 256
_REGISTER_LIMIT = 1024


class RuleKind(IntEnum):
    """How a register of the caller is found (DWARF 5, 6.4.1)."""

    UNDEFINED = 0
    SAME_VALUE = 1
    OFFSET = 2  # saved at CFA + value
    VAL_OFFSET = 3  # is CFA + value
    REGISTER = 4  # is in register value
    EXPRESSION = 5  # saved at the address the expression gives
    VAL_EXPRESSION = 6  # is what the expression gives


@dataclass(frozen=True, slots=True)
class RegisterRule:
    """One rule: ``value`` is an offset in bytes or a register number, ``expression`` DWARF bytes where the kind asks for them."""

    kind: RuleKind
    value: int = 0
    expression: bytes = b""


@dataclass(frozen=True, slots=True)
class CommonEntry:
    """What a CIE says. ``instructions`` are its initial ones, ``pointer_encoding`` that of its FDEs' addresses."""

    code_alignment: int
    data_alignment: int
    return_column: int
    pointer_encoding: int
    has_augmentation_data: bool
    is_signal_frame: bool
    instructions: bytes
    address_size: int = 8


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """What an FDE says: its CIE, the code it covers ([``start``, ``start + size``), virtual addresses), its instructions.

    ``address`` is the virtual address of the instructions, for pc-relative DW_CFA_set_loc.
    """

    common: CommonEntry
    start: int
    size: int
    instructions: bytes
    address: int = 0

    def __contains__(self, pc: int) -> bool:
        return self.start <= pc < self.start + self.size


@dataclass(frozen=True, slots=True)
class UnwindRow:
    """The rules at one pc. The CFA is ``cfa_register + cfa_offset``, or what ``cfa_expression`` gives where that is not empty.

    ``rules`` are by DWARF register number; a register without one is the architecture's business. ``return_column`` is the
    register that holds the return address, ``address_signed`` whether aarch64 has signed it (DW_CFA_AARCH64_negate_ra_state).
    """

    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    rules: dict[int, RegisterRule]
    return_column: int
    is_signal_frame: bool
    address_signed: bool


class _State:
    """The row while the instructions run."""

    __slots__ = ("cfa_expression", "cfa_offset", "cfa_register", "rules", "signed")

    def __init__(self) -> None:
        self.cfa_register = -1
        self.cfa_offset = 0
        self.cfa_expression = b""
        self.rules: dict[int, RegisterRule] = {}
        self.signed = False

    def copy(self) -> _State:
        other = _State()
        other.cfa_register, other.cfa_offset, other.cfa_expression = (
            self.cfa_register,
            self.cfa_offset,
            self.cfa_expression,
        )
        other.rules, other.signed = dict(self.rules), self.signed
        return other


def compute_row(entry: FrameEntry, pc: int) -> UnwindRow:
    """The rules that hold at ``pc`` (a virtual address within ``entry``). Raises FormatError for damaged instructions."""
    common = entry.common
    machine = _Machine(common, entry.start, pc)
    machine.run(common.instructions, 0)
    machine.initial = machine.state.copy()
    machine.run(entry.instructions, entry.address)
    state = machine.state
    if state.cfa_register < 0 and not state.cfa_expression:
        raise FormatError("call frame instructions that define no CFA.")
    return UnwindRow(
        state.cfa_register,
        state.cfa_offset,
        state.cfa_expression,
        state.rules,
        common.return_column,
        common.is_signal_frame,
        state.signed,
    )


class _Machine:
    """Runs instructions until the location passes the pc."""

    def __init__(self, common: CommonEntry, location: int, pc: int) -> None:
        self.common = common
        self.location = location
        self.pc = pc
        self.state = _State()
        self.initial = _State()
        self.remembered: list[_State] = []
        self.budget = _INSTRUCTION_LIMIT

    def run(self, instructions: bytes, address: int) -> None:
        reader = DwarfReader(instructions, address=address)
        while not reader.at_end and self.location <= self.pc:
            self.budget -= 1
            if self.budget < 0:
                raise FormatError("too many call frame instructions.")
            opcode = reader.uint8()
            primary, operand = opcode & 0xC0, opcode & 0x3F
            if primary == 0x40:
                self._advance(operand)
            elif primary == 0x80:
                self._set(operand, RuleKind.OFFSET, reader.uleb128() * self.common.data_alignment)
            elif primary == 0xC0:
                self._restore(operand)
            elif not (self._location(opcode, reader) or self._cfa(opcode, reader) or self._register(opcode, reader)):
                raise FormatError(f"an unknown call frame instruction {opcode:#x}.")

    def _advance(self, delta: int) -> None:
        location = self.location + delta * self.common.code_alignment
        if location > self.pc:
            # The rest describes later code: stop here, with the row as it is.
            self.location = self.pc + 1
        else:
            self.location = location

    def _set(self, register: int, kind: RuleKind, value: int = 0, expression: bytes = b"") -> None:
        if register > _REGISTER_LIMIT:
            raise FormatError(f"a rule for register {register}.")
        self.state.rules[register] = RegisterRule(kind, value, expression)

    def _restore(self, register: int) -> None:
        rule = self.initial.rules.get(register)
        if rule is None:
            self.state.rules.pop(register, None)
        else:
            self.state.rules[register] = rule

    def _location(self, opcode: int, reader: DwarfReader) -> bool:
        """The instructions that move the location, remember rows, or do nothing here."""
        match opcode:
            case 0x00:  # nop
                pass
            case 0x01:  # set_loc
                location = reader.encoded_pointer(self.common.pointer_encoding)
                if location is None:
                    raise FormatError("DW_CFA_set_loc with an address that lies in the target.")
                self.location = location if location <= self.pc else self.pc + 1
            case 0x02 | 0x03 | 0x04:  # advance_loc1, 2, 4
                self._advance(reader.fixed(1 << (opcode - 2)))
            case 0x0A:  # remember_state
                if len(self.remembered) >= _STATE_LIMIT:
                    raise FormatError("too many remembered rows.")
                self.remembered.append(self.state.copy())
            case 0x0B:  # restore_state
                if not self.remembered:
                    raise FormatError("DW_CFA_restore_state without a remembered row.")
                self.state = self.remembered.pop()
            case 0x2D:  # GNU_window_save; on aarch64 negate_ra_state
                self.state.signed = not self.state.signed
            case 0x2E:  # GNU_args_size: of interest to exceptions only
                reader.uleb128()
            case _:
                return False
        return True

    def _cfa(self, opcode: int, reader: DwarfReader) -> bool:
        """The instructions that define the CFA."""
        state = self.state
        match opcode:
            case 0x0C:  # def_cfa
                state.cfa_register, state.cfa_offset, state.cfa_expression = reader.uleb128(), reader.uleb128(), b""
            case 0x12:  # def_cfa_sf
                state.cfa_register, state.cfa_expression = reader.uleb128(), b""
                state.cfa_offset = reader.sleb128() * self.common.data_alignment
            case 0x0D:  # def_cfa_register
                state.cfa_register, state.cfa_expression = reader.uleb128(), b""
            case 0x0E:  # def_cfa_offset
                state.cfa_offset = reader.uleb128()
            case 0x13:  # def_cfa_offset_sf
                state.cfa_offset = reader.sleb128() * self.common.data_alignment
            case 0x0F:  # def_cfa_expression
                state.cfa_expression = bytes(reader.block(reader.uleb128()))
            case _:
                return False
        return True

    def _register(self, opcode: int, reader: DwarfReader) -> bool:
        """The instructions that set one register's rule."""
        if opcode == 0x06:  # restore_extended
            self._restore(reader.uleb128())
            return True
        read = _RULE_READERS.get(opcode)
        if read is None:
            return False
        register = reader.uleb128()
        kind, value, expression = read(reader, self.common.data_alignment)
        self._set(register, kind, value, expression)
        return True


_Rule = tuple[RuleKind, int, bytes]

# What follows the register number, by opcode: DW_CFA_offset_extended, undefined, same_value, register, expression,
# offset_extended_sf, val_offset, val_offset_sf, val_expression, GNU_negative_offset_extended.
_RULE_READERS: dict[int, Callable[[DwarfReader, int], _Rule]] = {
    0x05: lambda reader, align: (RuleKind.OFFSET, reader.uleb128() * align, b""),
    0x07: lambda _reader, _align: (RuleKind.UNDEFINED, 0, b""),
    0x08: lambda _reader, _align: (RuleKind.SAME_VALUE, 0, b""),
    0x09: lambda reader, _align: (RuleKind.REGISTER, reader.uleb128(), b""),
    0x10: lambda reader, _align: (RuleKind.EXPRESSION, 0, bytes(reader.block(reader.uleb128()))),
    0x11: lambda reader, align: (RuleKind.OFFSET, reader.sleb128() * align, b""),
    0x14: lambda reader, align: (RuleKind.VAL_OFFSET, reader.uleb128() * align, b""),
    0x15: lambda reader, align: (RuleKind.VAL_OFFSET, reader.sleb128() * align, b""),
    0x16: lambda reader, _align: (RuleKind.VAL_EXPRESSION, 0, bytes(reader.block(reader.uleb128()))),
    0x2F: lambda reader, align: (RuleKind.OFFSET, -reader.uleb128() * align, b""),
}
