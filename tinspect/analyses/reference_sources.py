"""Where a reference could come from: each thread's registers and live stack, and with ``heap`` the rest of writable memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinspect.analyses.context import Context
from tinspect.analyses.syscalls import find_syscall
from tinspect.model.address import AddressRange, merged
from tinspect.model.frame import CallStack, Frame
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
    """A word that points into some destination: where it lies, what weighs for its being a pointer in use."""

    tid: int | None
    place: ReferenceSource
    value: int
    confidence: Confidence
    reason: str


class Frames:
    """The frames of one thread by address: which one holds a stack word."""

    def __init__(self, call_stack: CallStack | None) -> None:
        self._frames = (
            sorted((f for f in call_stack.frames if f.extent is not None), key=_frame_sp) if call_stack else []
        )
        self._lows = [frame.sp for frame in self._frames]

    def find(self, address: int) -> Frame | None:
        """The frame whose extent [sp, CFA) holds ``address``, or None."""
        index = bisect_right(self._lows, address) - 1
        if index < 0:
            return None
        extent = self._frames[index].extent
        return self._frames[index] if extent is not None and address in extent else None


def _frame_sp(frame: Frame) -> int:
    return frame.sp


def from_registers(context: Context, thread: Thread) -> Iterator[Candidate]:
    """The thread's own registers, innermost frame."""
    if thread.registers is None:
        return
    call_stack = context.call_stacks.get(thread.tid)
    function = call_stack.frames[0].function if call_stack and call_stack.frames else None
    architecture = context.snapshot.architecture
    in_syscall = find_syscall(thread, architecture) is not None
    for name, value in thread.registers:
        if name in _NO_POINTERS or value < architecture.page_size:
            continue
        place = ReferenceSource(PlaceKind.REGISTER, register=name, frame=0, function=function)
        if in_syscall and name in architecture.syscall_arguments:
            reason = "an argument register of the system call it waits in"
            yield Candidate(thread.tid, place, value, Confidence.MEDIUM, reason)
        elif name in architecture.callee_saved:
            yield Candidate(thread.tid, place, value, Confidence.HIGH, "a register that an active frame keeps")
        elif in_syscall:
            reason = "a register that nothing keeps across the system call it waits in"
            yield Candidate(thread.tid, place, value, Confidence.LOW, reason)
        else:
            yield Candidate(thread.tid, place, value, Confidence.HIGH, "a register of running code")


def from_stack(
    context: Context,
    thread: Thread,
    bounds: StackBounds | None,
    signal_stack: SignalStack | None,
    targets: Sequence[AddressRange],
) -> Iterator[Candidate]:
    """The words of the thread's live stacks: its own from sp to the top, and the alternate one while it runs on it."""
    frames = Frames(context.call_stacks.get(thread.tid))
    descriptor = context.descriptor(thread)
    live = tuple(live_areas(context, thread, bounds, signal_stack))
    sp = thread.registers.sp if thread.registers is not None else 0
    for address, value in ReaderScanner(context.snapshot.memory).scan(live, targets):
        frame = frames.find(address)
        if frame is not None:
            place = ReferenceSource(PlaceKind.STACK, address, None, frame.index, frame.function)
            reason = "a slot in an active frame, which may be padding or not yet written"
            yield Candidate(thread.tid, place, value, Confidence.MEDIUM, reason)
        elif address < sp:
            place = ReferenceSource(PlaceKind.STACK, address)
            yield Candidate(thread.tid, place, value, Confidence.LOW, "below its own stack pointer")
        elif (
            descriptor is not None and bounds is not None and address >= descriptor.address and address in bounds.range
        ):
            place = ReferenceSource(PlaceKind.TLS, address, symbol="thread descriptor")
            yield Candidate(thread.tid, place, value, Confidence.LOW, "a word of libc's descriptor")
        else:
            place = ReferenceSource(PlaceKind.STACK, address)
            yield Candidate(thread.tid, place, value, Confidence.LOW, "in no known frame")


def live_areas(
    context: Context, thread: Thread, bounds: StackBounds | None, signal_stack: SignalStack | None
) -> Iterator[AddressRange]:
    """The parts of the thread's stacks that are in use."""
    call_stack = context.call_stacks.get(thread.tid)
    starts = [frame.sp for frame in call_stack.frames] if call_stack is not None else []
    if thread.registers is not None:
        starts.append(thread.registers.sp - context.snapshot.architecture.red_zone)
    for area in (bounds.range if bounds else None, signal_stack.range if signal_stack else None):
        inside = [start for start in starts if area is not None and area.low <= start < area.high]
        if area is not None and inside:
            yield AddressRange(min(inside) & ~7, area.high)


def from_memory(context: Context, scanner: WordScanner, targets: Sequence[AddressRange]) -> Iterator[Candidate]:
    """Every other writable word of the process: heap and globals. Stacks, the targets, are left out: living ones were looked at with
    their threads, and what is left on those of finished threads is nobody's."""
    taken = merged(targets)
    sources = [
        part
        for mapping in context.snapshot.mappings
        if mapping.is_writable and mapping.is_readable
        for part in without(mapping.range, taken)
    ]
    for address, value in scanner.scan(sources, targets):
        place = _memory_place(context, address)
        yield Candidate(None, place, value, Confidence.MEDIUM, "a word in memory that may be freed or unused")


def _memory_place(context: Context, address: int) -> ReferenceSource:
    module = context.snapshot.modules.find(address)
    if module is None:
        return ReferenceSource(PlaceKind.HEAP, address)
    hit = context.symbols.find_symbol(address)
    return ReferenceSource(PlaceKind.GLOBAL, address, symbol=hit.name if hit is not None else module.name)


def without(area: AddressRange, taken: Sequence[AddressRange]) -> Iterator[AddressRange]:
    """The parts of ``area`` that none of ``taken`` (sorted, disjoint) covers."""
    low = area.low
    for hole in taken[max(bisect_right(taken, AddressRange(area.low, area.low)) - 1, 0) :]:
        if hole.low >= area.high:
            break
        if hole.low > low:
            yield AddressRange(low, hole.low)
        low = max(low, hole.high)
    if low < area.high:
        yield AddressRange(low, area.high)
