"""What is wrong, or about to go wrong, with the alternate signal stacks."""

from __future__ import annotations

import signal
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tinspect.analyses.context import Context
from tinspect.formats.auxv import AT_MINSIGSTKSZ
from tinspect.formats.signal_action import SA_ONSTACK
from tinspect.model.address import AddressRange
from tinspect.model.report import Finding, Severity
from tinspect.model.signals import SignalHandler
from tinspect.model.stack import SignalStack, SignalStackState, StackBounds
from tinspect.target.target import PageFlag, PageRun

# What a thread that has run into its guard gets: on a full stack only an alternate one has room for the handler's frame.
_OVERFLOWS = frozenset({signal.SIGSEGV, signal.SIGBUS})
_MOST_TIDS = 8


def analyze(
    context: Context, signal_stacks: Mapping[int, SignalStack], bounds: Mapping[int, StackBounds]
) -> tuple[Finding, ...]:
    """Alternate stacks that are too small, unguarded, shared, unmapped, or that lie on a thread's stack."""
    areas = {tid: stack.range for tid, stack in signal_stacks.items() if stack.range is not None}
    found = [*_shared(areas)]
    stacks = sorted((stack.range, tid) for tid, stack in bounds.items())
    for tid, area in areas.items():
        found += _too_small(context, tid, area)
        found += _placement(context, tid, area, stacks)
    return tuple(found)


def find_missing(
    context: Context, signal_stacks: Mapping[int, SignalStack], handlers: Sequence[SignalHandler]
) -> tuple[Finding, ...]:
    """Threads without an alternate stack in a process that handles faults on it, all in one finding: a note, since a program may mean it
    so for threads whose depth it knows. Threads whose alternate stack is unknown are not among them."""
    faults = [handler for handler in handlers if handler.signal in _OVERFLOWS and SA_ONSTACK in handler.flags]
    without = [
        thread.tid
        for thread in context.snapshot.threads
        if thread.state not in {"zombie", "dead"}
        and thread.tid in signal_stacks
        and signal_stacks[thread.tid].state is SignalStackState.DISABLED
    ]
    if not faults or not without:
        return ()
    names = " and ".join(handler.name for handler in faults)
    whose = f"thread {without[0]} has" if len(without) == 1 else f"{len(without):,} threads have"
    shown = ", ".join(map(str, without[:_MOST_TIDS])) + (" …" if len(without) > _MOST_TIDS else "")
    told = "" if len(without) == 1 else f" ({shown})"
    message = f"{names} is" if len(faults) == 1 else f"{names} are"
    message += f" handled on the alternate stack (SA_ONSTACK), but {whose} none{told}: an overflow there ends the process unhandled."
    return (Finding(Severity.NOTE, "altstack-missing", message, without[0] if len(without) == 1 else None),)


def _too_small(context: Context, tid: int, area: AddressRange) -> Iterator[Finding]:
    # What the kernel needs for a signal frame on this CPU (AVX-512, AMX).
    auxiliary = context.snapshot.facts.auxv.get(AT_MINSIGSTKSZ)
    need = auxiliary if auxiliary is not None else context.snapshot.architecture.minimum_signal_stack
    if area.size < need:
        message = f"its alternate signal stack has {area.size} bytes; a signal frame alone needs {need} on this CPU."
        yield Finding(Severity.ERROR, "altstack-too-small", message, tid)


def _shared(areas: Mapping[int, AddressRange]) -> Iterator[Finding]:
    ordered = sorted((area, tid) for tid, area in areas.items())
    for (area, tid), (following, other) in pairwise(ordered):
        if area.overlaps(following):
            message = f"its alternate signal stack overlaps that of thread {other}: two signals at once corrupt both."
            yield Finding(Severity.ERROR, "altstack-shared", message, tid)


def _find_stack(stacks: Sequence[tuple[AddressRange, int]], area: AddressRange) -> int | None:
    """The thread on whose stack ``area`` lies, or None. Stacks are sorted, and no two overlap."""
    index = bisect_right(stacks, area.high, key=_low) - 1
    return stacks[index][1] if index >= 0 and stacks[index][0].overlaps(area) else None


def _low(stack: tuple[AddressRange, int]) -> int:
    return stack[0].low


def _placement(
    context: Context, tid: int, area: AddressRange, stacks: Sequence[tuple[AddressRange, int]]
) -> Iterator[Finding]:
    cached = next((c for c in context.libc_threads.cached if c.range.overlaps(area)), None)
    if cached is not None:
        yield Finding(
            Severity.ERROR, "altstack-freed", "its alternate signal stack lies in the stack of a finished thread.", tid
        )
    other = _find_stack(stacks, area)
    if other is not None:
        whose = "its own stack" if other == tid else f"the stack of thread {other}"
        severity = Severity.NOTE if other == tid else Severity.WARNING
        yield Finding(severity, "altstack-on-stack", f"its alternate signal stack lies on {whose}.", tid)
        return
    mapping = context.snapshot.mappings.find(area.low)
    if mapping is None or not mapping.is_writable:
        yield Finding(
            Severity.ERROR, "altstack-unmapped", "its alternate signal stack lies in memory that is not writable.", tid
        )
    elif cached is None and not _guarded(context, area):
        message = "no guard lies below its alternate signal stack: an overflow in a handler would go unnoticed."
        yield Finding(Severity.NOTE, "altstack-no-guard", message, tid)


def _guarded(context: Context, area: AddressRange) -> bool:
    """Whether the page below cannot be touched: unmapped, without permissions, or with an installed guard."""
    below = context.snapshot.mappings.find(area.low - 1)
    if below is None or not below.is_writable:
        return True
    runs = context.snapshot.pages or ()
    index = bisect_right(runs, area.low - 1, key=_run_low) - 1
    return index >= 0 and runs[index].flag is PageFlag.GUARD and area.low - 1 in runs[index].range


def _run_low(run: PageRun) -> int:
    return run.range.low
