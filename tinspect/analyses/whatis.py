"""What is this address? Whose stack and which frame, guard, alternate stack, descriptor, thread-local block, heap chunk, module, symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tinspect.analyses.context import Context
from tinspect.analyses.heap_chunks import Chunk, find_arena_heap, find_chunk
from tinspect.analyses.variables import Variables
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.source import Source
from tinspect.model.stack import CachedStack, GuardKind
from tinspect.model.tls import TlsBlock
from tinspect.model.whatis import AddressKind, WhatIs
from tinspect.target.memory import MemoryReader


class Explainer:
    """Answers for the addresses of one capture. ``heap`` reads memory that no snapshot copies (malloc's chunks)."""

    def __init__(self, context: Context, report: ProcessReport, heap: MemoryReader, variables: Variables) -> None:
        self._context = context
        self._report = report
        self._heap = heap
        self._variables = variables

    def explain(self, address: int) -> WhatIs:
        """The most specific thing ``address`` belongs to."""
        unmapped = WhatIs(
            address, AddressKind.UNMAPPED, "Nothing is mapped there.", Source.MAPS, details=tuple(self._around(address))
        )
        return next(self._answers(address), unmapped)

    def _answers(self, address: int) -> Iterator[WhatIs]:
        for thread in self._report.threads:
            yield from self._of_thread(thread, address)
        for cached in self._report.cached_stacks:
            if address in cached.range:
                yield _of_cached(cached, address)
        module = self._context.snapshot.modules.find(address)
        mapping = self._context.snapshot.mappings.find(address)
        if module is not None:
            yield self._of_module(module, mapping, address)
        if mapping is not None:
            yield from self._of_heap(mapping, address)
            yield _of_mapping(mapping, address)

    def _of_thread(self, report: ThreadReport, address: int) -> Iterator[WhatIs]:
        """What belongs to one thread, the most specific first: thread-local storage and descriptor lie at the top of its stack."""
        altstack, guard, stack = report.signal_stack, report.guard, report.stack
        if altstack is not None and altstack.range is not None and address in altstack.range:
            yield self._of_stack(report, address, AddressKind.ALTSTACK, altstack.range, altstack.source)
        if (
            guard is not None
            and guard.range is not None
            and guard.kind is not GuardKind.NONE
            and address in guard.range
        ):
            words = f"In the guard of {_whose(report)}, {guard.range.high - address} bytes past the end of its stack."
            yield _answer(report, address, AddressKind.GUARD, words, guard.range, guard.source)
        for block in report.tls.blocks if report.tls is not None else ():
            if block.range is not None and address in block.range:
                yield _of_block(report, block, block.range, address)
        yield from self._of_descriptor(report, address)
        if stack is not None and address in stack.range:
            yield self._of_stack(report, address, AddressKind.STACK, stack.range, stack.source)

    def _of_descriptor(self, report: ThreadReport, address: int) -> Iterator[WhatIs]:
        descriptor = self._context.descriptor(report.thread)
        if descriptor is None or not descriptor.address <= address < descriptor.address + descriptor.size:
            return
        region = AddressRange.sized(descriptor.address, descriptor.size)
        words = f"In libc's descriptor (pthread_t) of {_whose(report)}."
        yield _answer(report, address, AddressKind.DESCRIPTOR, words, region, Source.DESCRIPTOR)

    def _of_stack(
        self, report: ThreadReport, address: int, kind: AddressKind, area: AddressRange, source: Source
    ) -> WhatIs:
        where = "alternate signal stack" if kind is AddressKind.ALTSTACK else "stack"
        words = f"On the {where} of {_whose(report)}"
        frames = report.call_stack.frames if report.call_stack is not None else ()
        frame = next((f for f in frames if f.extent is not None and address in f.extent), None)
        if frame is None:
            lowest = min((f.sp for f in frames if f.sp in area), default=None)
            below = lowest is not None and address < lowest
            details = (
                (f"{lowest - address} bytes below the stack pointer: no frame uses it now.",)
                if below and lowest
                else ()
            )
            return replace(_answer(report, address, kind, f"{words}.", area, source), details=details)
        variable = self._variables.find_local(frame, address, thorough=True)
        name = f"{variable.name} in " if variable is not None else ""
        place = (
            f"{name}frame {frame.index} ({frame.function or hex(frame.pc)}), {address - frame.sp} bytes above its sp"
        )
        return replace(
            _answer(report, address, kind, f"{words}: {place}.", area, source),
            offset=address - frame.sp,
            frame=frame.index,
            function=frame.function,
            variable=variable.name if variable is not None else None,
            module=frame.module,
        )

    def _of_module(self, module: Module, mapping: Mapping | None, address: int) -> WhatIs:
        symbols = self._context.symbols
        hit = symbols.find_symbol(address)
        line = symbols.find_line(address) if hit is not None and hit.is_function else None
        section = symbols.find_section(address)
        place = f"offset {address - module.range.low:#x}" if hit is None else f"{hit.name}+{hit.offset:#x}"
        inside = f" ({section})" if section is not None else ""
        return WhatIs(
            address,
            AddressKind.MODULE,
            f"{place} in {module.name}{inside}.",
            Source.SYMBOLS if hit is not None else Source.MAPS,
            module.range,
            address - module.range.low,
            module=module.path or module.name,
            section=section,
            symbol=hit.name if hit is not None else None,
            symbol_offset=hit.offset if hit is not None else None,
            file=line.file if line is not None else None,
            line=line.line if line is not None else None,
            permissions=mapping.permissions if mapping is not None else None,
        )

    def _of_heap(self, mapping: Mapping, address: int) -> Iterator[WhatIs]:
        """In the program's heap, or in one that glibc's malloc made for threads."""
        is_glibc = self._context.libc is not None and self._context.libc.info.name == "glibc"
        words, region = "In the heap.", mapping.range
        details: tuple[str, ...] = ()
        if mapping.name != "[heap]":
            arena = find_arena_heap(self._heap, self._context.snapshot.mappings, address) if is_glibc else None
            if arena is None:
                return
            words, region = "In the heap of a malloc arena.", arena
        chunk = find_chunk(self._heap, region, address) if is_glibc else None
        source = Source.MAPS if mapping.name == "[heap]" else Source.ALLOCATOR
        if chunk is not None:
            source = Source.ALLOCATOR
            region, details = chunk.range, (_chunk_words(chunk),)
            words = f"In a heap chunk of {region.size} bytes, {address - region.low} bytes from its start."
        yield WhatIs(
            address,
            AddressKind.HEAP,
            words,
            source,
            region,
            address - region.low,
            permissions=mapping.permissions,
            details=details,
        )

    def _around(self, address: int) -> Iterator[str]:
        mappings = self._context.snapshot.mappings
        below = [mapping for mapping in mappings if mapping.range.high <= address]
        above = [mapping for mapping in mappings if mapping.range.low > address]
        if below:
            yield f"The mapping below it ends at {below[-1].range.high:#x} ({below[-1].name or 'anonymous'})."
        if above:
            yield f"The mapping above it begins at {above[0].range.low:#x} ({above[0].name or 'anonymous'})."


def _whose(report: ThreadReport) -> str:
    tid, name = report.thread.tid, report.thread.name
    return f"thread {tid} ({name})" if name else f"thread {tid}"  # a core keeps no names


def _answer(
    report: ThreadReport, address: int, kind: AddressKind, words: str, region: AddressRange, source: Source
) -> WhatIs:
    thread = report.thread
    return WhatIs(address, kind, words, source, region, address - region.low, thread.tid, thread.name or None)


def _of_block(report: ThreadReport, block: TlsBlock, area: AddressRange, address: int) -> WhatIs:
    variables = report.tls.variables if report.tls is not None else ()
    variable = next((v for v in variables if v.address <= address < v.address + v.size), None)
    called = f"{variable.name} in " if variable is not None else ""
    words = f"{called}thread-local storage of {block.module} in {_whose(report)}."
    return replace(
        _answer(
            report, address, AddressKind.TLS, words[0].upper() + words[1:] if not called else words, area, block.source
        ),
        variable=variable.name if variable is not None else None,
        module=block.module,
    )


def _of_cached(cached: CachedStack, address: int) -> WhatIs:
    words = "In the stack of a thread that has ended; libc keeps it for the next one."
    area = cached.range
    return WhatIs(address, AddressKind.CACHED_STACK, words, cached.source, area, address - area.low, cached.tid)


def _of_mapping(mapping: Mapping, address: int) -> WhatIs:
    words = f"In {mapping.name or 'an anonymous mapping'}, {address - mapping.range.low} bytes from its start."
    offset = address - mapping.range.low
    return WhatIs(
        address, AddressKind.MAPPING, words, Source.MAPS, mapping.range, offset, permissions=mapping.permissions
    )


def _chunk_words(chunk: Chunk) -> str:
    if chunk.in_use:
        return "The chunk is in use, or held in a cache of free ones (malloc marks those as in use)."
    return "The chunk is free."
