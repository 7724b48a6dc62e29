"""The line number program (DWARF 5, 6.2.5), run for one address: nothing is stored but the row that covers it."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.errors import FormatError
from tinspect.formats.dwarf_reader import DwarfReader

_PROGRAM_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True)
class LineHeader:
    """The fields of a line program's header that its instructions depend on. ``operand_counts`` are those of opcodes 1…"""

    minimum_length: int
    maximum_operations: int
    line_base: int
    line_range: int
    opcode_base: int
    operand_counts: tuple[int, ...]
    default_is_statement: bool = True


@dataclass(frozen=True, slots=True)
class LineRow:
    """The row that covers an address: index into the file table, and line (0 where the compiler says there is none)."""

    file: int
    line: int


def find_row(program: memoryview, header: LineHeader, address: int) -> LineRow | None:
    """The last row at or before ``address`` whose sequence reaches beyond it; None when no sequence covers it. Raises FormatError."""
    if len(program) > _PROGRAM_LIMIT:
        raise FormatError(f"a line number program of {len(program)} bytes.")
    return _Machine(program, header, address).run()


class _Machine:
    def __init__(self, program: memoryview, header: LineHeader, wanted: int) -> None:
        if header.line_range == 0 or header.opcode_base == 0:
            raise FormatError("a line number program whose header does not allow its opcodes.")
        self.reader = DwarfReader(program)
        self.header = header
        self.wanted = wanted
        self.reset()

    def reset(self) -> None:
        """DWARF 5, 6.2.2: the registers at the start of a sequence."""
        self.address = 0
        self.file = 1
        self.line = 1
        self.is_statement = self.header.default_is_statement
        self.previous: LineRow | None = None
        self.previous_address = -1
        self.previous_is_statement = False

    def run(self) -> LineRow | None:
        reader, header = self.reader, self.header
        while not reader.at_end:
            opcode = reader.uint8()
            if opcode >= header.opcode_base:
                adjusted = opcode - header.opcode_base
                self.advance(adjusted // header.line_range)
                self.line += header.line_base + adjusted % header.line_range
                found = self.emit()
            elif opcode == 0:
                found = self.extended()
            else:
                found = self.standard(opcode)
            if found is not None:
                return found
        return None

    def advance(self, operations: int) -> None:
        # Only VLIW machines have more than one operation an instruction; there is none among ours.
        self.address += operations * self.header.minimum_length

    def emit(self) -> LineRow | None:
        """Appends a row; the one before it is the answer when the wanted address lies between the two."""
        if self.address > self.wanted:
            if self.previous is not None:
                return self.previous
        # Of several rows at one address the last counts, but one that begins a statement before one that does not.
        elif self.is_statement or not self.previous_is_statement or self.address != self.previous_address:
            self.previous = LineRow(self.file, self.line)
            self.previous_address, self.previous_is_statement = self.address, self.is_statement
        return None

    def extended(self) -> LineRow | None:
        reader = self.reader
        length = reader.uleb128()
        end = reader.position + length
        if length == 0 or end > reader.end:
            raise FormatError("an extended line number opcode that does not fit.")
        opcode = reader.uint8()
        found = None
        if opcode == 1:  # end_sequence
            found = self.previous if self.address > self.wanted else None
            self.reset()
        elif opcode == 2 and length == 9:  # set_address
            self.address = reader.fixed(8)
        reader.position = end
        return found

    def standard(self, opcode: int) -> LineRow | None:
        reader, header = self.reader, self.header
        match opcode:
            case 1:  # copy
                return self.emit()
            case 2:  # advance_pc
                self.advance(reader.uleb128())
            case 3:  # advance_line
                self.line += reader.sleb128()
            case 4:  # set_file
                self.file = reader.uleb128()
            case 6:  # negate_stmt
                self.is_statement = not self.is_statement
            case 8:  # const_add_pc
                self.advance((255 - header.opcode_base) // header.line_range)
            case 9:  # fixed_advance_pc
                self.address += reader.fixed(2)
            case _:
                counts = header.operand_counts
                for _ in range(counts[opcode - 1] if opcode <= len(counts) else 0):
                    reader.uleb128()
        return None
