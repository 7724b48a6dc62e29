"""What a word points to, said in a few words: for values of keys, whose meaning only their program knows."""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum

from tinspect.analyses.context import Context
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.mapping import Mapping

_SMALL = 1 << 16  # below vm.mmap_min_addr nothing is mapped


class Place(StrEnum):
    """The kinds of memory a value may point into."""

    NUMBER = "number"
    NOWHERE = "not mapped"
    OWN_STACK = "own stack"
    OTHER_STACK = "stack"
    CACHED_STACK = "stack of a finished thread"
    MODULE = "module"
    HEAP = "heap"
    ANONYMOUS = "anonymous memory"
    FILE = "file"


class ValueWords:
    """Describes values of one snapshot."""

    def __init__(self, context: Context) -> None:
        self._context = context
        stacks: list[tuple[AddressRange, int | None]] = [(c.range, None) for c in context.libc_threads.cached]
        for tid, descriptor in context.libc_threads.descriptors.items():
            area = descriptor.stack_block or (descriptor.bounds.range if descriptor.bounds is not None else None)
            if area is not None:
                stacks.append((area, tid))
        self._stacks = sorted(stacks, key=lambda entry: entry[0].low)
        self._lows = [area.low for area, _ in self._stacks]

    def place(self, value: int, tid: int) -> tuple[Place, str]:
        """Where ``value``, held by thread ``tid``, points to, and that in words. Source: libc's descriptors, mappings, symbols."""
        index = bisect_right(self._lows, value) - 1
        if index >= 0 and value in self._stacks[index][0]:
            owner = self._stacks[index][1]
            if owner is None:
                return Place.CACHED_STACK, Place.CACHED_STACK.value
            return (Place.OWN_STACK, "own stack") if owner == tid else (Place.OTHER_STACK, f"stack of thread {owner}")
        mapping = self._context.snapshot.mappings.find(value)
        if mapping is None:
            is_number = value < _SMALL or value >= ADDRESS_LIMIT - _SMALL  # small, or small and negative
            return (Place.NUMBER, "number") if is_number else (Place.NOWHERE, "not mapped")
        return self._mapped(value, mapping)

    def _mapped(self, value: int, mapping: Mapping) -> tuple[Place, str]:
        module = self._context.snapshot.modules.find(value)
        if module is not None and (mapping.is_file or self._is_zero_filled_data(mapping)):
            hit = self._context.symbols.find_symbol(value)
            if hit is None:
                return Place.MODULE, module.name
            return Place.MODULE, f"{hit.name}+{hit.offset}" if hit.offset else hit.name
        if mapping.name == "[heap]":
            return Place.HEAP, "heap"
        if mapping.is_file:
            return Place.FILE, mapping.name.rpartition("/")[2]
        return Place.ANONYMOUS, mapping.name or "anonymous memory"

    def _is_zero_filled_data(self, mapping: Mapping) -> bool:
        """A module's .bss goes on past its file, in a mapping without a name that the module's span includes."""
        module = self._context.snapshot.modules.find(mapping.range.low)
        return not mapping.name and module is not None and module.range.covers(mapping.range)
