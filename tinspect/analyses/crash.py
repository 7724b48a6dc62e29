"""How the program died: the thread that took the signal, a verdict with its evidence, and the instructions around the place."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from itertools import pairwise

from tinspect.analyses.context import Context
from tinspect.analyses.guards import LARGE_FRAME
from tinspect.analyses.instructions import instructions_around
from tinspect.errors import MemoryUnreadable
from tinspect.formats.siginfo import code_name, describe_code, signal_name
from tinspect.model.crash import Crash, Instruction
from tinspect.model.stack import GuardRegion, StackBounds
from tinspect.model.thread import SignalStop, Thread
from tinspect.target.memory import find_word, read_c_string, read_uint32

# Below it nothing can be mapped where vm.mmap_min_addr is at its default: such an address is null plus a member's offset.
_NULL_LIMIT = 0x10000
# The kernel keeps 256 pages below a growing stack free (stack_guard_gap, mm/mmap.c).
_GAP = 256 * 4096
_NEAR_END = LARGE_FRAME
_SI_KERNEL = 0x80
_SI_USER = 0
_MESSAGE_LIMIT = 512
_WITH_ADDRESS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)

_OTHERS: dict[int, str] = {
    signal.SIGILL: "illegal-instruction",
    signal.SIGFPE: "arithmetic-error",
    signal.SIGBUS: "bus-error",
    signal.SIGTRAP: "trap",
    signal.SIGSYS: "refused-syscall",
}


def analyze(context: Context, bounds: Mapping[int, StackBounds], guards: Mapping[int, GuardRegion]) -> Crash | None:
    """The death, or None when no thread had a signal. ``bounds`` and ``guards`` are by tid."""
    thread = next((entry for entry in context.snapshot.threads if entry.signal), None)
    if thread is None or thread.signal is None:
        return None
    stop = thread.signal
    verdict, message = _judge(context, thread, stop, bounds.get(thread.tid), guards.get(thread.tid))
    return Crash(
        tid=thread.tid,
        signal=stop.number,
        signal_name=signal_name(stop.number),
        verdict=verdict,
        message=message,
        code=stop.code,
        code_name=None if stop.code is None else code_name(stop.number, stop.code),
        address=stop.address,
        instructions=_instructions(context, thread.registers.pc) if thread.registers else (),
    )


def _instructions(context: Context, pc: int) -> tuple[Instruction, ...]:
    snapshot = context.snapshot
    return instructions_around(snapshot.memory, context.symbols, snapshot.architecture.name, pc)


def _judge(
    context: Context, thread: Thread, stop: SignalStop, stack: StackBounds | None, guard: GuardRegion | None
) -> tuple[str, str]:
    """The verdict and its sentence."""
    overflow = _overflow_at(thread, stop, stack, guard)
    if overflow and stop.number in (signal.SIGSEGV, signal.SIGBUS):
        return "stack-overflow", overflow
    if stop.number == signal.SIGSEGV:
        return _judge_access(context, thread, stop, _fault_address(context, thread, stop))
    if stop.number == signal.SIGABRT and stop.code != _SI_USER:
        return _judge_abort(context, thread, stack, guard)
    where = f" at {stop.address:#x}" if stop.address is not None else ""
    words = f"{_code_in_words(stop)}{where}"
    return _OTHERS.get(stop.number, "unknown"), f"{_named(thread)} got {signal_name(stop.number)}: {words}."


def _code_in_words(stop: SignalStop) -> str:
    if stop.code is None:
        return "no siginfo tells why" + (", or which address" if stop.number in _WITH_ADDRESS else "")
    return describe_code(stop.number, stop.code)


def _overflow_at(thread: Thread, stop: SignalStop, stack: StackBounds | None, guard: GuardRegion | None) -> str | None:
    """The sentence about an overflow, when the fault lies below the stack's end and the stack pointer is near it."""
    zone = guard.range if guard else None
    low = zone.high if zone else stack.range.low if stack else None
    sp = thread.registers.sp if thread.registers else None
    if low is None or sp is None or sp >= low + _NEAR_END:
        return None
    size = f"{stack.range.size:,} bytes of stack" if stack else "its stack"
    address = stop.address
    if address is None:
        # A core without siginfo (QEMU's) does not name the address: a stack pointer that left the stack is evidence by itself.
        if stop.code is not None or sp >= low:
            return None
        if zone and sp in zone:
            return f"{_named(thread)} used up {size}: its stack pointer {sp:#x} lies in its guard {zone}."
        if zone is None and low - _GAP <= sp:
            return f"{_named(thread)} used up {size}: its stack pointer {sp:#x} lies {low - sp:,} bytes below its end at {low:#x}."
        return None
    if zone and address in zone:
        return (
            f"{_named(thread)} used up {size}: the fault at {address:#x} lies in its guard {zone}, "
            f"{low - address:,} bytes below the end of the stack at {low:#x}."
        )
    if zone is None and low - _GAP <= address < low:
        return f"{_named(thread)} used up {size}: the fault at {address:#x} lies {low - address:,} bytes below its end at {low:#x}."
    return None


def _fault_address(context: Context, thread: Thread, stop: SignalStop) -> int | None:
    """siginfo's address; where there is no siginfo, the pc if no code can run there: fetching the instruction was the fault."""
    if stop.address is not None or stop.code is not None or thread.registers is None:
        return stop.address
    mapping = context.snapshot.mappings.find(thread.registers.pc)
    return thread.registers.pc if mapping is None or not mapping.is_executable else None


def _judge_access(context: Context, thread: Thread, stop: SignalStop, address: int | None) -> tuple[str, str]:
    pc = thread.registers.pc if thread.registers else None
    if stop.code == _SI_KERNEL:
        return "bad-pointer", f"{_named(thread)} used an address that no mapping can have, or a privileged instruction."
    if address is None:
        return "unknown", f"{_named(thread)} got SIGSEGV: {_code_in_words(stop)}."
    if pc == address:
        what = "called a null function pointer" if pc < _NULL_LIMIT else f"jumped to {pc:#x}, {_state_of(context, pc)}"
        return ("null-dereference" if pc < _NULL_LIMIT else "bad-jump"), f"{_named(thread)} {what}."
    if address < _NULL_LIMIT:
        offset = f", {address} bytes past null" if address else ""
        return "null-dereference", f"{_named(thread)} used a null pointer: the fault is at {address:#x}{offset}."
    return "bad-access", f"{_named(thread)} used {address:#x}, {_state_of(context, address)}."


def _state_of(context: Context, address: int) -> str:
    """What lies at an address that could not be used."""
    mapping = context.snapshot.mappings.find(address)
    if mapping is None:
        return "where nothing is mapped"
    name = f" of {mapping.name}" if mapping.name else ""
    return f"in memory{name} with permissions {mapping.permissions[:3]}"


def _judge_abort(
    context: Context, thread: Thread, stack: StackBounds | None, guard: GuardRegion | None
) -> tuple[str, str]:
    """An abort; one that a handler of a stack overflow ended in is an overflow."""
    interrupted = _interrupted_sp(context, thread)
    zone = guard.range if guard else None
    low = zone.high if zone else stack.range.low if stack else None
    if interrupted is not None and low is not None and low - _GAP <= interrupted < low + 4096:
        return (
            "stack-overflow",
            f"{_named(thread)} was interrupted with its stack pointer at {interrupted:#x}, at the end of its stack at {low:#x}; "
            "the signal handler aborted the program.",
        )
    said = _abort_message(context)
    if not said and thread.signal is not None and thread.signal.code is None:
        # abort(3) and kill(1) look alike then.
        return "abort", f"{_named(thread)} got SIGABRT: {_code_in_words(thread.signal)}."
    return "abort", f"{_named(thread)} called abort" + (f": {said}" if said else ".")


def _interrupted_sp(context: Context, thread: Thread) -> int | None:
    """The stack pointer of the code that the innermost signal handler interrupted; None when no handler runs."""
    call_stack = context.call_stacks.get(thread.tid)
    frames = call_stack.frames if call_stack else ()
    for frame, caller in pairwise(frames):
        if frame.is_signal_frame:
            return caller.sp
    return None


def _abort_message(context: Context) -> str:
    """What glibc noted before it aborted (__abort_msg: struct { unsigned size; char text[]; }, assert/assert.c), or ""."""
    variable = context.symbols.find_address("__abort_msg", "libc.so")
    place = find_word(context.snapshot.memory, variable) if variable else None
    if not place:
        return ""
    try:
        size = read_uint32(context.snapshot.memory, place)
        text = read_c_string(context.snapshot.memory, place + 4, min(size, _MESSAGE_LIMIT))
    except (MemoryUnreadable, ValueError):
        return ""
    return text.decode("utf-8", "surrogateescape").strip()


def _named(thread: Thread) -> str:
    return f"Thread {thread.tid} ({thread.name})" if thread.name else f"Thread {thread.tid}"
