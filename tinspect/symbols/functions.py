"""Which function of a unit holds an address, and the blocks and inlined functions around it there."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.symbols.dwarf_file import Budget, Die, DwarfFile, Unit

# Entries that may hold functions: namespaces, and the types whose methods Rust defines in place.
_SCOPES = frozenset(
    (
        "DW_TAG_namespace",
        "DW_TAG_module",
        "DW_TAG_structure_type",
        "DW_TAG_class_type",
        "DW_TAG_union_type",
        "DW_TAG_enumeration_type",
    )
)
_BLOCKS = frozenset(("DW_TAG_lexical_block", "DW_TAG_inlined_subroutine"))
_DEPTH_LIMIT = 64


@dataclass(frozen=True, slots=True)
class CodeScopes:
    """The function that holds a pc, and within it the blocks and inlined functions that hold it too, outermost first."""

    function: Die
    blocks: tuple[Die, ...]

    @property
    def inlined(self) -> tuple[Die, ...]:
        """The inlined functions, innermost first."""
        return tuple(block for block in reversed(self.blocks) if block.tag == "DW_TAG_inlined_subroutine")


class FunctionIndex:
    """The functions of the units seen so far, by address."""

    def __init__(self, dwarf: DwarfFile) -> None:
        self._dwarf = dwarf
        self._units: dict[int, list[tuple[int, int, Die]]] = {}

    def find(self, pc: int, unit_limit: int | None = None) -> CodeScopes | None:
        """The scopes at ``pc`` (a virtual address of the file), or None. Raises FormatError.

        A unit not seen before is read only if its debug information has no more than ``unit_limit`` bytes (a megabyte takes seconds).
        """
        unit = self._dwarf.find_unit(pc)
        if unit is None:
            return None
        functions = self._units.get(unit.cu_offset)
        if functions is None:
            if unit_limit is not None and unit.header["unit_length"] > unit_limit:
                return None
            functions = self._units[unit.cu_offset] = self._functions(unit)
        function = next((die for low, high, die in functions if low <= pc < high), None)
        if function is None:
            return None
        return CodeScopes(function, tuple(self._blocks(function, pc)))

    def _functions(self, unit: Unit) -> list[tuple[int, int, Die]]:
        dwarf, budget = self._dwarf, Budget()
        result: list[tuple[int, int, Die]] = []
        pending = [(dwarf.top(unit), 0)]
        while pending:
            scope, depth = pending.pop()
            for die in dwarf.children(scope, budget):
                if die.tag == "DW_TAG_subprogram":
                    result.extend((low, high, die) for low, high in dwarf.ranges(die))
                elif die.tag in _SCOPES and die.has_children and depth < _DEPTH_LIMIT:
                    pending.append((die, depth + 1))
        return result

    def _blocks(self, function: Die, pc: int) -> list[Die]:
        budget = Budget()
        result: list[Die] = []
        scope: Die | None = function
        while scope is not None and len(result) < _DEPTH_LIMIT:
            scope = next(
                (
                    die
                    for die in self._dwarf.children(scope, budget)
                    if die.tag in _BLOCKS and any(low <= pc < high for low, high in self._dwarf.ranges(die))
                ),
                None,
            )
            if scope is not None:
                result.append(scope)
        return result
