"""Where injection may work: the instructions of the target's libc that it needs, and the stack that is each thread's own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinspect.backends.page_runs import block_by_rule
from tinspect.backends.process_memory import PAGE_GUARD, PAGE_MAYBE_GUARD
from tinspect.backends.running_process import RunningProcess
from tinspect.backends.stopping import Stop
from tinspect.errors import MemoryUnreadable, TargetLost
from tinspect.formats.gadgets import SyscallGadgets, find_gadgets
from tinspect.model.address import AddressRange
from tinspect.model.mapping import Mapping
from tinspect.model.thread import Thread
from tinspect.native import _inspect
from tinspect.target.plan import StackRule

_LIBC_NAMES = ("libc.so", "libc-2.", "ld-musl-")
_LARGEST_CODE = 64 << 20


def find_process_gadgets(process: RunningProcess) -> SyscallGadgets | None:
    """The instructions in libc's code, or in a static executable's: code that is never unmapped. None where one is missing."""
    for mapping in _lasting_code(process):
        try:
            gadgets = find_gadgets(process.memory.read(mapping.range.low, mapping.range.size), mapping.range.low)
        except (MemoryUnreadable, TargetLost):
            continue
        if gadgets is not None:
            return gadgets
    return None


def _lasting_code(process: RunningProcess) -> Iterator[Mapping]:
    modules = [module for module in process.modules if module.name.startswith(_LIBC_NAMES)]
    modules += [module for module in process.modules if module.is_main]
    for module in modules:
        for mapping in process.mappings.overlapping(module.range):
            if mapping.is_executable and mapping.is_readable and mapping.range.size <= _LARGEST_CODE:
                yield mapping


def find_own_stacks(process: RunningProcess, stop: Stop, rule: StackRule | None) -> dict[int, AddressRange]:
    """The stack each thread has to itself, by tid: what its descriptor names (the plan's ``rule``), or the main stack, without guards.
    Missing are threads of which neither is known, and those that run elsewhere on no stack we know: other threads may use that too."""
    stacks = {}
    for thread in stop.threads:
        if thread.registers is None:
            continue
        block = block_by_rule(thread, stop.memory, rule)
        if block is None or process.mappings.find(block.low) is None:  # glibc's main descriptor names no low end
            block = _main_stack(process, thread)
        if block is not None:
            stacks[thread.tid] = block
    return _without_guards(
        process.pid, stacks, {t.tid: t.registers.sp for t in stop.threads if t.registers is not None}
    )


def _main_stack(process: RunningProcess, thread: Thread) -> AddressRange | None:
    mapping = process.mappings.find_named("[stack]") if thread.is_main else None
    return mapping.range if mapping is not None else None


def _without_guards(pid: int, stacks: dict[int, AddressRange], pointers: dict[int, int]) -> dict[int, AddressRange]:
    """The stacks above the guards that lie between their low ends and sp. What MADV_GUARD_INSTALL made, no mapping shows."""
    below = {tid: (stack.low, pointers[tid]) for tid, stack in stacks.items() if pointers[tid] in stack}
    try:
        runs = _inspect.page_states(pid, sorted(span for span in below.values() if span[0] < span[1]))
    except OSError:
        return stacks  # it has ended, or soon is told to be
    ends = sorted(high for _, high, flags in runs if flags & (PAGE_GUARD | PAGE_MAYBE_GUARD))
    return stacks | {tid: _raised(stacks[tid], ends, sp) for tid, (_, sp) in below.items()}


def _raised(stack: AddressRange, ends: Sequence[int], sp: int) -> AddressRange:
    """The stack from the last of ``ends`` (sorted) below sp on."""
    count = bisect_right(ends, sp)
    return replace(stack, low=max(stack.low, ends[count - 1])) if count else stack
