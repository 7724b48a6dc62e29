"""The variables a reference leads from and to: what has a name and the type of a pointer was meant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from tinspect.analyses.context import Context
from tinspect.analyses.reference_sources import Candidate
from tinspect.analyses.tls_variables import VariablesOf
from tinspect.analyses.variables import Variables
from tinspect.model.frame import Frame
from tinspect.model.module import Module
from tinspect.model.reference import Confidence, PlaceKind
from tinspect.model.tls import TlsBlock
from tinspect.symbols.data_types import TypeKind

_WORD = 8


class Names:
    """Names the ends of references. Nothing is looked up before it is asked for."""

    def __init__(self, context: Context, variables: Variables, thread_locals: VariablesOf) -> None:
        self._context = context
        self._variables = variables
        self._thread_locals = thread_locals

    def in_frame(self, frame: Frame | None, address: int) -> str | None:
        """The name of the variable of ``frame`` that lies at ``address``, or None."""
        found = self._variables.find_local(frame, address) if frame is not None else None
        return found.name if found is not None else None

    def named(self, candidate: Candidate) -> Candidate:
        """The candidate with the name of the variable that holds it, and the weight that gives."""
        place = candidate.place
        if place.address is None:
            return candidate
        if candidate.frame is not None:
            found = self._variables.find_local(candidate.frame, place.address)
        elif place.kind is PlaceKind.GLOBAL:
            found = self._variables.find_global(place.address)
        elif place.kind in {PlaceKind.TLS, PlaceKind.HEAP}:
            return self._thread_local(candidate)
        else:
            return candidate
        if found is None:
            return candidate
        if found.size and found.place + found.size < place.address + _WORD:
            # As after libc's read() kept its int in half of a slot where a pointer had been: no pointer was ever here.
            reason = f"pieced together of the end of the variable {found.name} and what lies beside it"
            return replace(candidate, confidence=Confidence.LOW, reason=reason)
        is_pointer = found.type.kind is TypeKind.POINTER and found.place == place.address
        return replace(
            candidate,
            place=replace(place, symbol=found.name),
            confidence=Confidence.HIGH if is_pointer else candidate.confidence,
            reason=f"the pointer variable {found.name}" if is_pointer else f"a word of the variable {found.name}",
        )

    def _thread_local(self, candidate: Candidate) -> Candidate:
        """Thread-local storage of libraries opened late, and of the main thread, lies among the heap."""
        place, address = candidate.place, candidate.place.address or 0
        owner = self._block_of(address)
        if owner is None:
            return candidate
        tid, block = owner
        return replace(
            candidate,
            tid=tid,
            place=replace(place, kind=PlaceKind.TLS, symbol=self._name_in(block, address)),
            confidence=Confidence.MEDIUM,
            reason="a word of its thread-local storage",
        )

    def _name_in(self, block: TlsBlock, address: int) -> str | None:
        module = self._modules.get(block.module)
        if module is None or block.range is None:
            return None
        offset = address - block.range.low
        found = (v for v in self._thread_locals(module) if v.offset <= offset < v.offset + max(v.size, 1))
        return next((variable.name for variable in found), None)

    def _block_of(self, address: int) -> tuple[int, TlsBlock] | None:
        lows, blocks = self._blocks
        index = bisect_right(lows, address) - 1
        if index < 0:
            return None
        tid, block = blocks[index]
        return (tid, block) if block.range is not None and address in block.range else None

    @cached_property
    def _modules(self) -> dict[str, Module]:
        return {module.path or module.name: module for module in self._context.snapshot.modules}

    @cached_property
    def _blocks(self) -> tuple[list[int], list[tuple[int, TlsBlock]]]:
        found = sorted(self._all_blocks())
        return [low for low, _, _ in found], [(tid, block) for _, tid, block in found]

    def _all_blocks(self) -> Iterator[tuple[int, int, TlsBlock]]:
        libc = self._context.libc
        for tid, descriptor in self._context.libc_threads.descriptors.items():
            for block in libc.read_tls_blocks(self._context.snapshot, descriptor)[0] if libc is not None else ():
                if block.range is not None:
                    yield block.range.low, tid, block
