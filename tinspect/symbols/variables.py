"""Which local variable of a function lies at an address, for one frame; and the thread-local and global variables of a module."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tinspect.errors import FormatError
from tinspect.formats.dwarf_expression import ExpressionContext, Location, LocationKind, evaluate
from tinspect.symbols.data_types import DataType
from tinspect.symbols.demangle import demangle
from tinspect.symbols.dwarf_file import Budget, Die, DwarfFile, guarded
from tinspect.symbols.dwarf_types import variable_type
from tinspect.symbols.functions import CodeScopes, FunctionIndex

_VARIABLES = ("DW_TAG_variable", "DW_TAG_formal_parameter")
# DW_FORM_exprloc or block1 of 10 bytes: DW_OP_const8u, the offset, and one of the two ways to say that it is thread-local.
_TLS_LOCATION = re.compile(rb"\x0a\x0e(.{8})[\xe0\x9b]", re.DOTALL)
_TLS_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class FrameValues:
    """What is known of a frame: its CFA, and registers by DWARF number (``Unwinder.frame_registers``)."""

    cfa: int | None
    registers: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as the source has it. ``place`` is an address, or the offset in the TLS block of a thread-local variable."""

    name: str
    place: int
    type: DataType
    is_parameter: bool = False

    @property
    def size(self) -> int:
        """Bytes; 0 when not known."""
        return self.type.size


@guarded
def find_local(
    dwarf: DwarfFile,
    functions: FunctionIndex,
    pc: int,
    frame: FrameValues,
    address: int,
    unit_limit: int | None = None,
) -> Variable | None:
    """The variable of the function at ``pc`` (a virtual address of the file) that lies at ``address`` of the target in ``frame``.

    Of several the innermost block's. None when there is none, or when its place depends on what is not known. Raises FormatError.
    """
    scopes = functions.find(pc, unit_limit)
    if scopes is None:
        return None
    context = ExpressionContext(frame.registers, cfa=frame.cfa, frame_base=_frame_base(dwarf, scopes, pc, frame))
    for scope in (*reversed(scopes.blocks), scopes.function):
        for die in dwarf.children(scope, Budget()):
            if die.tag in _VARIABLES:
                location = _locate(dwarf, die, "DW_AT_location", pc, context)
                if location is not None and location.kind is LocationKind.MEMORY and location.value <= address:
                    variable = _describe(dwarf, die, location.value)
                    if address < location.value + max(variable.size, 1):
                        return variable
    return None


def _frame_base(dwarf: DwarfFile, scopes: CodeScopes, pc: int, frame: FrameValues) -> int | None:
    location = _locate(
        dwarf, scopes.function, "DW_AT_frame_base", pc, ExpressionContext(frame.registers, cfa=frame.cfa)
    )
    if location is None:
        return None
    return frame.registers.get(location.value) if location.kind is LocationKind.REGISTER else location.value


@guarded
def _locate(dwarf: DwarfFile, die: Die, name: str, pc: int, context: ExpressionContext) -> Location | None:
    """What a location attribute gives at ``pc``: an expression, or the one of a location list that holds there."""
    attribute = die.attributes.get(name)
    if attribute is None:
        return None
    if isinstance(attribute.value, list):
        return evaluate(bytes(attribute.value), context)
    lists = dwarf.info.location_lists()
    top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = top.value if top is not None else 0
    for entry in lists.get_location_list_at_offset(attribute.value, die):
        if hasattr(entry, "base_address"):
            base = entry.base_address
        elif hasattr(entry, "loc_expr"):
            start = 0 if entry.is_absolute else base
            if start + entry.begin_offset <= pc < start + entry.end_offset:
                return evaluate(bytes(entry.loc_expr), context)
    return None


@guarded
def _describe(dwarf: DwarfFile, die: Die, place: int) -> Variable:
    linkage = dwarf.name(die, "DW_AT_linkage_name")
    return Variable(
        demangle(linkage or dwarf.name(die) or b"?"),
        place,
        variable_type(dwarf, die),
        die.tag == "DW_TAG_formal_parameter",
    )


def find_thread_locals(dwarf: DwarfFile) -> Iterator[Variable]:
    """The thread-local variables that the debug information describes, by offset in the TLS block.

    Their location has a shape that can be searched for in the bytes: only entries found so are parsed, however large the file.
    """
    data = dwarf.image.find_section_data(".debug_info")
    if data is None:
        return
    budget = Budget()
    found: dict[int, Variable] = {}
    for number, match in enumerate(_TLS_LOCATION.finditer(data)):
        if number >= _TLS_LIMIT:
            break
        offset = int.from_bytes(match.group(1), "little")
        if offset not in found:
            try:
                die = _entry_around(dwarf, match.start(), budget)
                if die is not None and die.tag == "DW_TAG_variable":
                    found[offset] = _describe(dwarf, die, offset)
            except FormatError:
                continue
    for offset in sorted(found):
        yield found[offset]


@guarded
def find_global(dwarf: DwarfFile, address: int) -> Variable | None:
    """The global variable that the debug information places at ``address`` (a virtual address of the file), or None. Raises FormatError."""
    data = dwarf.image.find_section_data(".debug_info")
    if data is None:
        return None
    # DW_FORM_exprloc or block1 of 9 bytes: DW_OP_addr and the address.
    pattern = re.compile(re.escape(b"\x09\x03" + address.to_bytes(8, "little")), re.DOTALL)
    for match in pattern.finditer(data):
        die = _entry_around(dwarf, match.start(), Budget())
        if die is not None and die.tag == "DW_TAG_variable":
            return _describe(dwarf, die, address)
    return None


def _entry_around(dwarf: DwarfFile, position: int, budget: Budget) -> Die | None:
    """The entry whose own bytes hold ``position`` of .debug_info, or None."""
    place = bisect_right(dwarf.unit_offsets, position) - 1
    if place < 0:
        return None
    scope = dwarf.top(dwarf.unit(dwarf.unit_offsets[place]))
    while not scope.offset <= position < scope.offset + scope.size:
        before = None
        for die in dwarf.children(scope, budget):
            if die.offset > position:
                break
            before = die
        if before is None:
            return None
        scope = before
    return scope
