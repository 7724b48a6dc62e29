"""What the kernel says of the pages of every stack: which were written to, and which are installed guards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinspect.backends.process_memory import PAGE_GUARD, PAGE_MAYBE_GUARD, PAGE_PRESENT, PAGE_SWAPPED, PAGE_ZERO
from tinspect.errors import MemoryUnreadable
from tinspect.model.address import AddressRange, merged
from tinspect.model.gap import Gap
from tinspect.model.mapping import MappingTable
from tinspect.model.stack import SignalStack
from tinspect.model.thread import Thread
from tinspect.native import _inspect
from tinspect.target.memory import MemoryReader, read_word
from tinspect.target.plan import StackRule, StackRuleKind
from tinspect.target.target import PageFlag, PageRun

# A guard lies right below its stack; 64 KiB is the largest page size of any supported kernel.
_BELOW = 64 << 10
# How far around sp to look on a stack that no rule describes: no stack in use is larger without being a mapping of its own.
_REACH = 64 << 20


@dataclass(frozen=True, slots=True)
class PageStates:
    """The runs by address, None where the kernel does not let us look. ``shows_guards``: an installed guard would be among them."""

    runs: tuple[PageRun, ...] | None
    gaps: tuple[Gap, ...] = ()

    @property
    def shows_guards(self) -> bool:
        """False where nobody looked, and on Linux 6.13 and 6.14, which do not tell a guard from a swapped page."""
        return self.runs is not None and all(run.flag is not PageFlag.MAYBE_GUARD for run in self.runs)


def read_page_runs(pid: int, areas: Iterable[AddressRange]) -> PageStates:
    """The states of the pages in ``areas``. Never raises."""
    wanted = [(area.low, area.high) for area in merged(areas)]
    try:
        runs = _inspect.page_states(pid, wanted)
    except OSError as error:
        why = f"/proc/{pid}/pagemap cannot be read ({error.strerror}): peak use and guards are not known."
        return PageStates(None, (Gap("pages", why),))
    return PageStates(
        tuple(PageRun(AddressRange(low, high), flag) for low, high, flags in runs for flag in _flags(flags))
    )


def _flags(bits: int) -> Iterator[PageFlag]:
    if bits & PAGE_GUARD:
        yield PageFlag.GUARD
    elif bits & PAGE_MAYBE_GUARD:
        yield PageFlag.MAYBE_GUARD
    elif bits & PAGE_SWAPPED:
        yield PageFlag.SWAPPED
    elif bits & PAGE_PRESENT and not bits & PAGE_ZERO:
        yield PageFlag.PRESENT


def stack_areas(
    threads: Iterable[Thread],
    memory: MemoryReader,
    rule: StackRule | None,
    mappings: MappingTable,
    signal_stacks: Iterable[SignalStack],
) -> Iterator[AddressRange]:
    """Where the stacks of ``threads`` and their guards lie, as far as the plan's rule and the mappings tell."""
    for thread in threads:
        block = block_by_rule(thread, memory, rule)
        if block is not None and mappings.find(block.low) is not None:
            yield AddressRange(max(block.low - _BELOW, 0), block.high)
        if thread.registers is None:
            continue
        sp = thread.registers.sp
        mapping = mappings.find(sp)
        if mapping is not None and (block is None or sp not in block):
            near = AddressRange(max(sp - _REACH, 0), min(sp + _REACH, 1 << 64)).intersection(mapping.range)
            yield near if near is not None else mapping.range
    for stack in signal_stacks:
        if stack.range is not None:
            yield AddressRange(max(stack.range.low - _BELOW, 0), stack.range.low)


def block_by_rule(thread: Thread, memory: MemoryReader, rule: StackRule | None) -> AddressRange | None:
    """Everything libc mapped for the thread's stack, by two words of its descriptor; None where they make no sense."""
    if rule is None or thread.thread_pointer is None:
        return None
    try:
        first = read_word(memory, thread.thread_pointer + rule.first)
        second = read_word(memory, thread.thread_pointer + rule.second)
        low = first if rule.kind is StackRuleKind.LOW_AND_SIZE else first - second
        return AddressRange.sized(low, second) if second else None
    except (MemoryUnreadable, ValueError):
        return None
