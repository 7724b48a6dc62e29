"""Which alternate signal stack does each thread have? (sigaltstack(2); /proc shows it nowhere.)

Sources, best first: what the backend learnt (BPF, injection, a note in the core), a signal frame on the thread's own stacks (the kernel
writes uc_stack into every ucontext), the runtime's registry. A thread that none of them speaks of stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from tinspect.analyses.context import Context
from tinspect.errors import MemoryUnreadable
from tinspect.formats.signal_stack import STACK_T, parse_stack_t, signal_stack_of
from tinspect.model.gap import Gap
from tinspect.model.scope import RuntimeThread
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack, SignalStackState
from tinspect.model.thread import Thread

WHAT = "sigaltstack"  # of its gaps, the backend's included
UNKNOWN = SignalStack(SignalStackState.UNKNOWN, None, (), Source.UNKNOWN)


def analyze(
    context: Context, registry: Mapping[int, RuntimeThread] | None = None
) -> tuple[dict[int, SignalStack], tuple[Gap, ...]]:
    """The alternate signal stack of every thread by tid, and a gap for each that no source speaks of: why the backend could not learn it,
    of that thread or of any. Where every thread is known nothing is missing, whatever the backend lacks."""
    threads = context.snapshot.threads
    found = {thread.tid: _find(context, thread, (registry or {}).get(thread.tid)) or UNKNOWN for thread in threads}
    told = [gap for gap in context.snapshot.gaps if gap.what == WHAT]
    of_all = next((gap.why for gap in told if gap.tid is None), "no source tells its alternate signal stack.")
    reasons = {gap.tid: gap.why for gap in told if gap.tid is not None}
    gaps = (
        Gap(WHAT, reasons.get(thread.tid, of_all), thread.tid)
        for thread in threads
        if found[thread.tid] is UNKNOWN and (thread.tid in reasons or thread.state not in {"zombie", "dead"})
    )
    return found, tuple(gaps)


def _find(context: Context, thread: Thread, runtime: RuntimeThread | None) -> SignalStack | None:
    known = context.snapshot.signal_stacks.get(thread.tid)
    if known is not None and known.state is not SignalStackState.UNKNOWN:
        return known
    return _from_signal_frame(context, thread) or _from_registry(thread, runtime)


def _from_signal_frame(context: Context, thread: Thread) -> SignalStack | None:
    call_stack = context.call_stacks.get(thread.tid)
    offset = context.snapshot.architecture.sigframe_uc_stack
    for frame in call_stack.frames if call_stack else ():
        if not frame.is_signal_frame:
            continue
        try:
            data = context.snapshot.memory.read(frame.sp + offset, STACK_T.size)
        except MemoryUnreadable:
            continue
        return parse_stack_t(data, thread.registers.sp if thread.registers else None, Source.SIGFRAME)
    return None


def _from_registry(thread: Thread, runtime: RuntimeThread | None) -> SignalStack | None:
    if runtime is None or runtime.signal_stack is None:
        return None
    sp = thread.registers.sp if thread.registers else None
    area = runtime.signal_stack
    return signal_stack_of(area.low, area.size, 0, sp, Source.REGISTRY)
