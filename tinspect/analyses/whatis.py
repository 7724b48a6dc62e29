"""What is this address? Whose stack and which frame, guard, alternate stack, descriptor, thread-local block, heap chunk, module, symbol."""

from __future__ import annotations

from collections.abc import Iterator

from tinspect.analyses.context import Context
from tinspect.analyses.heap_chunks import find_chunk
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping
from tinspect.model.module import Module
from tinspect.model.report import ProcessReport, ThreadReport
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind
from tinspect.model.whatis import AddressKind, WhatIs
from tinspect.target.memory import MemoryReader


def explain(context: Context, report: ProcessReport, heap: MemoryReader, address: int) -> WhatIs:
    """The most specific thing ``address`` belongs to. ``heap`` reads memory that no snapshot copies (malloc's chunks)."""
    for answer in _candidates(context, report, heap, address):
        return answer
    message = f"{address:#x} is not mapped."
    return WhatIs(address, AddressKind.UNMAPPED, message, Source.MAPS, details=tuple(_neighbours(context, address)))


def _candidates(context: Context, report: ProcessReport, heap: MemoryReader, address: int) -> Iterator[WhatIs]:
    for thread in report.threads:
        yield from _of_thread(context, thread, address)
    for cached in report.cached_stacks:
        if address in cached.range:
            words = f"{address:#x} lies in the stack of a thread that has ended; libc keeps it for the next one."
            yield WhatIs(
                address, AddressKind.CACHED_STACK, words, cached.source, cached.range, address - cached.range.low
            )
    module = context.snapshot.modules.find(address)
    mapping = context.snapshot.mappings.find(address)
    if module is not None:
        yield _of_module(context, module, mapping, address)
    if mapping is not None:
        yield _of_mapping(context, heap, mapping, address)


def _of_thread(context: Context, report: ThreadReport, address: int) -> Iterator[WhatIs]:
    tid, name = report.thread.tid, report.thread.name
    whose = _whose(tid, name)
    altstack, guard = report.signal_stack, report.guard
    if altstack is not None and altstack.range is not None and address in altstack.range:
        words = f"{address:#x} is on the alternate signal stack of {whose}."
        yield _in_stack(report, address, AddressKind.ALTSTACK, words, altstack.range, altstack.source)
    if guard is not None and guard.range is not None and address in guard.range and guard.kind is not GuardKind.NONE:
        words = (
            f"{address:#x} is in the guard of {whose}, {guard.range.high - address} bytes past the end of its stack."
        )
        offset = address - guard.range.low
        yield WhatIs(address, AddressKind.GUARD, words, guard.source, guard.range, offset, tid, name)
    yield from _of_storage(context, report, address)
    if report.stack is not None and address in report.stack.range:
        words = f"{address:#x} is on the stack of {whose}."
        yield _in_stack(report, address, AddressKind.STACK, words, report.stack.range, report.stack.source)


def _of_storage(context: Context, report: ThreadReport, address: int) -> Iterator[WhatIs]:
    """Thread-local blocks and the descriptor lie at the top of a stack: they are told before it."""
    tid, name = report.thread.tid, report.thread.name
    for block in report.tls.blocks if report.tls is not None else ():
        if block.range is None or address not in block.range:
            continue
        variable = (
            next((v for v in report.tls.variables if v.address <= address < v.address + v.size), None)
            if report.tls
            else None
        )
        called = f" in {variable.name}" if variable is not None else ""
        words = f"{address:#x} is in thread {tid}'s thread-local storage of {block.module}{called}."
        yield WhatIs(
            address, AddressKind.TLS, words, block.source, block.range, address - block.range.low, tid, name,
            variable=variable.name if variable is not None else None, module=block.module,
        )  # fmt: skip
    descriptor = context.descriptor(report.thread)
    if descriptor is not None and descriptor.address <= address < descriptor.address + descriptor.size:
        region = AddressRange.sized(descriptor.address, descriptor.size)
        words = f"{address:#x} is in libc's descriptor (pthread_t) of {_whose(tid, name)}."
        offset = address - descriptor.address
        yield WhatIs(address, AddressKind.DESCRIPTOR, words, Source.DESCRIPTOR, region, offset, tid, name)


def _whose(tid: int, name: str) -> str:
    return f"thread {tid} ({name})" if name else f"thread {tid}"  # a core keeps no names


def _in_stack(
    report: ThreadReport, address: int, kind: AddressKind, words: str, area: AddressRange, source: Source
) -> WhatIs:
    frames = report.call_stack.frames if report.call_stack is not None else ()
    frame = next((f for f in frames if f.extent is not None and address in f.extent), None)
    tid, name = report.thread.tid, report.thread.name
    if frame is not None:
        words = f"{words[:-1]}, in frame {frame.index} ({frame.function or hex(frame.pc)}), {address - frame.sp} bytes above its sp."
        return WhatIs(
            address,
            kind,
            words,
            source,
            area,
            address - frame.sp,
            tid,
            name,
            frame.index,
            frame.function,
            module=frame.module,
        )
    lowest = min((f.sp for f in frames if f.sp in area), default=None)
    details: tuple[str, ...] = ()
    if lowest is not None and address < lowest:
        details = (f"It lies {lowest - address} bytes below the stack pointer there: no frame uses it now.",)
    return WhatIs(address, kind, words, source, area, address - area.low, tid, name, details=details)


def _of_module(context: Context, module: Module, mapping: Mapping | None, address: int) -> WhatIs:
    hit = context.symbols.find_symbol(address)
    line = context.symbols.find_line(address) if hit is not None and hit.is_function else None
    place = (
        f"{module.name}+{address - module.range.low:#x}"
        if hit is None
        else f"{hit.name}+{hit.offset:#x} in {module.name}"
    )
    return WhatIs(
        address,
        AddressKind.MODULE,
        f"{address:#x} is {place}.",
        Source.SYMBOLS if hit is not None else Source.MAPS,
        module.range,
        address - module.range.low,
        module=module.path or module.name,
        symbol=hit.name if hit is not None else None,
        symbol_offset=hit.offset if hit is not None else None,
        file=line.file if line is not None else None,
        line=line.line if line is not None else None,
        permissions=mapping.permissions if mapping is not None else None,
    )


def _of_mapping(context: Context, heap: MemoryReader, mapping: Mapping, address: int) -> WhatIs:
    is_glibc = context.libc is not None and context.libc.info.name == "glibc"
    if mapping.name == "[heap]":
        chunk = find_chunk(heap, mapping.range, address) if is_glibc else None
        words = f"{address:#x} is in the heap."
        details: tuple[str, ...] = ()
        if chunk is not None:
            words = f"{address:#x} is in a heap chunk of {chunk.range.size} bytes, {address - chunk.range.low} bytes from its start."
            details = (
                ("The chunk is in use, or held in a cache of free ones (malloc marks those as in use).",)
                if chunk.in_use
                else ("The chunk is free.",)
            )
        region = chunk.range if chunk is not None else mapping.range
        offset = address - region.low
        return WhatIs(
            address,
            AddressKind.HEAP,
            words,
            Source.MAPS,
            region,
            offset,
            permissions=mapping.permissions,
            details=details,
        )
    what = mapping.name or "an anonymous mapping"
    words = f"{address:#x} is in {what}, {address - mapping.range.low} bytes from its start."
    return WhatIs(
        address,
        AddressKind.MAPPING,
        words,
        Source.MAPS,
        mapping.range,
        address - mapping.range.low,
        permissions=mapping.permissions,
    )


def _neighbours(context: Context, address: int) -> Iterator[str]:
    below = [m for m in context.snapshot.mappings if m.range.high <= address]
    above = [m for m in context.snapshot.mappings if m.range.low > address]
    if below:
        yield f"The mapping below it ends at {below[-1].range.high:#x} ({below[-1].name or 'anonymous'})."
    if above:
        yield f"The mapping above it begins at {above[0].range.low:#x} ({above[0].name or 'anonymous'})."
