"""Where a reference could come from: each thread's registers and live stack, and with ``heap`` the rest of writable memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.analyses.frame_index import FrameIndex
from tinspect.analyses.reference_targets import Destinations, without
from tinspect.analyses.syscalls import find_syscall, pointer_arguments
from tinspect.model.address import AddressRange, merged
from tinspect.model.frame import Frame
from tinspect.model.reference import Confidence, PlaceKind, ReferenceSource
from tinspect.model.stack import SignalStack, StackBounds
from tinspect.model.thread import Thread
from tinspect.target.scan import ReaderScanner, WordScanner

# These never hold a pointer into a stack that means something: the pc, the thread's own sp, segments, flags, thread pointers.
_NO_POINTERS = frozenset(
    {"rip", "pc", "rsp", "sp", "eflags", "pstate", "orig_rax", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base"}
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that points into some destination: where it lies, what weighs for its being a pointer in use.

    ``frame`` is the frame that holds a stack word, where one is known to.
    """

    tid: int | None
    place: ReferenceSource
    value: int
    confidence: Confidence
    reason: str
    frame: Frame | None = None


def from_registers(context: Context, thread: Thread, destinations: Destinations) -> Iterator[Candidate]:
    """The thread's own registers, innermost frame."""
    pointing = [
        (name, value)
        for name, value in thread.registers or ()
        if name not in _NO_POINTERS and destinations.is_beyond(thread.tid, value)
    ]
    if not pointing:
        return
    call_stack = context.call_stacks.get(thread.tid)
    frame = call_stack.frames[0] if call_stack and call_stack.frames else None
    architecture = context.snapshot.architecture
    state = find_syscall(thread, architecture, context.snapshot.memory)
    used = pointer_arguments(state, architecture) if state is not None else frozenset()
    for name, value in pointing:
        if name in used:
            weight = Confidence.HIGH, "the system call it waits in will use this pointer"
        elif name in architecture.callee_saved:
            weight = Confidence.MEDIUM, "a register that an active frame may keep"
        elif state is not None:
            weight = Confidence.LOW, "a register that the system call it waits in does not use"
        else:
            weight = Confidence.MEDIUM, "a register of running code"
        place = ReferenceSource(PlaceKind.REGISTER, None, name, 0, frame.function if frame is not None else None)
        yield Candidate(thread.tid, place, value, *weight)


def from_stack(
    context: Context,
    thread: Thread,
    bounds: StackBounds | None,
    signal_stack: SignalStack | None,
    destinations: Destinations,
    frames: FrameIndex,
) -> Iterator[Candidate]:
    """The words of the thread's live stacks: its own from sp to the top, and the alternate one while it runs on it."""
    live = tuple(live_areas(context, thread, bounds, signal_stack))
    if not live:
        return
    descriptor = context.descriptor(thread)
    has_storage = descriptor is not None and bounds is not None and descriptor.address in bounds.range
    storage_low = destinations.frames_end(thread.tid)
    sp = thread.registers.sp if thread.registers is not None else 0
    for address, value in ReaderScanner(context.snapshot.memory).scan(live, destinations.searched(thread.tid)):
        frame = frames.find(thread.tid, address)
        if frame is not None:
            place = ReferenceSource(PlaceKind.STACK, address, None, frame.index, frame.function)
            reason = "a slot in an active frame, which may be padding or not yet written"
            yield Candidate(thread.tid, place, value, Confidence.MEDIUM, reason, frame)
        elif address < sp:
            place = ReferenceSource(PlaceKind.STACK, address)
            yield Candidate(thread.tid, place, value, Confidence.LOW, "below its own stack pointer")
        elif descriptor is not None and has_storage and storage_low is not None and address >= storage_low:
            symbol = "thread descriptor" if address >= descriptor.address else None
            place = ReferenceSource(PlaceKind.TLS, address, symbol=symbol)
            yield Candidate(thread.tid, place, value, Confidence.MEDIUM, "a word of its thread-local storage")
        else:
            place = ReferenceSource(PlaceKind.STACK, address)
            yield Candidate(thread.tid, place, value, Confidence.LOW, "in no known frame")


def live_areas(
    context: Context, thread: Thread, bounds: StackBounds | None, signal_stack: SignalStack | None
) -> Iterator[AddressRange]:
    """The parts of the stacks the thread stands on that are in use."""
    call_stack = context.call_stacks.get(thread.tid)
    starts = [frame.sp for frame in call_stack.frames] if call_stack is not None else []
    if thread.registers is not None:
        starts.append(thread.registers.sp - context.snapshot.architecture.red_zone)
    for area in (bounds.range if bounds else None, signal_stack.range if signal_stack else None):
        inside = [start for start in starts if area is not None and area.low <= start < area.high]
        if area is not None and inside:
            yield AddressRange(min(inside) & ~7, area.high)
    foreign = foreign_area(context, thread, bounds, signal_stack)
    if foreign is not None:
        yield foreign


def foreign_area(
    context: Context, thread: Thread, bounds: StackBounds | None, signal_stack: SignalStack | None
) -> AddressRange | None:
    """The part in use of a stack that neither libc nor the kernel knows (a coroutine's), as far as its frames could be followed."""
    call_stack = context.call_stacks.get(thread.tid)
    known = [entry.range for entry in (bounds, signal_stack) if entry is not None and entry.range is not None]
    if thread.registers is None or call_stack is None or bounds is None:
        return None
    sp = thread.registers.sp
    if any(area.low <= sp <= area.high for area in known):
        return None
    high = sp
    for frame in call_stack.frames:
        if frame.sp < high or frame.cfa is None or any(area.low <= frame.sp <= area.high for area in known):
            break
        high = frame.cfa
    return AddressRange((sp - context.snapshot.architecture.red_zone) & ~7, high) if high > sp else None


def from_memory(
    context: Context, scanner: WordScanner, destinations: Destinations, foreign: Iterable[AddressRange]
) -> Iterator[Candidate]:
    """Every other writable word of the process: heap and globals. Stacks, the targets and ``foreign`` ones, are left out: living ones
    were looked at with their threads, and what is left on those of finished threads is nobody's."""
    taken = merged((*destinations.ranges, *foreign))
    sources = [
        part
        for mapping in context.snapshot.mappings
        if mapping.is_writable and mapping.is_readable
        for part in without(mapping.range, taken)
    ]
    for address, value in scanner.scan(sources, destinations.searched(None)):
        yield _memory_candidate(context, address, value)


def _memory_candidate(context: Context, address: int, value: int) -> Candidate:
    module = context.snapshot.modules.find(address)
    if module is None:
        place = ReferenceSource(PlaceKind.HEAP, address)
        return Candidate(None, place, value, Confidence.LOW, "a word in memory that may be freed or unused")
    hit = context.symbols.find_symbol(address)
    place = ReferenceSource(PlaceKind.GLOBAL, address, symbol=hit.name if hit is not None else module.name)
    return Candidate(None, place, value, Confidence.MEDIUM, "a word of the program's static data")
