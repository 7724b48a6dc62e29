"""What is wrong, or about to go wrong, with a thread's stack and its guard."""

from __future__ import annotations

from collections.abc import Mapping

from tinspect.analyses.context import Context
from tinspect.analyses.guards import KERNEL_GAP_PAGES, is_at_end
from tinspect.model.report import Finding, Severity
from tinspect.model.source import Source
from tinspect.model.stack import GuardKind, GuardRegion, RunningOn, StackBounds, StackUse
from tinspect.model.thread import Thread


def analyze(
    context: Context,
    bounds: Mapping[int, StackBounds],
    use: Mapping[int, StackUse],
    guards: Mapping[int, GuardRegion],
) -> tuple[Finding, ...]:
    """Overflows, near overflows and missing guards."""
    found: list[Finding] = []
    for thread in context.snapshot.threads:
        guard, area = guards.get(thread.tid), bounds.get(thread.tid)
        if guard is None or area is None:
            continue
        overflow = _overflow(context, thread, area, guard)
        found += overflow or _nearly_exhausted(thread, area, use.get(thread.tid))
        found += _without_guard(context, thread, guard)
    return tuple(found)


def _overflow(context: Context, thread: Thread, area: StackBounds, guard: GuardRegion) -> list[Finding]:
    page = context.snapshot.architecture.page_size
    fault = thread.signal.address if thread.signal is not None else None
    sp = thread.registers.sp if thread.registers is not None else None
    if guard.kind is GuardKind.KERNEL_GAP and guard.range is None:
        return _overflow_of_mapped(thread, area.range.low, page, fault)
    if guard.range is not None and fault is not None and fault in guard.range and is_at_end(sp, guard.range.high):
        message = f"it touched {fault:#x}, {guard.range.high - fault} bytes into its guard: the stack overflowed."
        return [Finding(Severity.ERROR, "stack-overflow", message, thread.tid)]
    if guard.distance is None:
        return []
    if guard.distance < 0:
        message = f"its stack pointer is {-guard.distance} bytes past the end of its stack, in the guard."
        return [Finding(Severity.ERROR, "stack-overflow", message, thread.tid)]
    if guard.distance < page:
        message = f"its stack pointer is {guard.distance} bytes above its guard: less than a page is left."
        return [Finding(Severity.WARNING, "stack-nearly-full", message, thread.tid)]
    return []


def _overflow_of_mapped(thread: Thread, low: int, page: int, fault: int | None) -> list[Finding]:
    """Of a main stack whose limit is not known (a core): it grew as far as it may, when it broke off below what was mapped of it.
    sp may still be above that: the call that broke off had yet to store its return address."""
    sp = thread.registers.sp if thread.registers is not None else None
    if fault is None or sp is None or sp >= low + page or not low - KERNEL_GAP_PAGES * page <= fault < low:
        return []
    message = f"it touched {fault:#x}, {low - fault} bytes below its stack: the stack overflowed."
    return [Finding(Severity.ERROR, "stack-overflow", message, thread.tid)]


def _without_guard(context: Context, thread: Thread, guard: GuardRegion) -> list[Finding]:
    if guard.kind is not GuardKind.NONE:
        return []
    descriptor = context.descriptor(thread)
    if descriptor is not None and descriptor.guard is not None and guard.source is Source.PAGEMAP:
        message = (
            "libc believes in a guard below its stack, but the kernel has none there: an overflow would go unnoticed."
        )
        return [Finding(Severity.WARNING, "guard-lost", message, thread.tid)]
    message = "no guard lies below its stack: an overflow would write into whatever is mapped there."
    return [Finding(Severity.NOTE, "no-guard", message, thread.tid)]


def _nearly_exhausted(thread: Thread, bounds: StackBounds, use: StackUse | None) -> list[Finding]:
    """Peak use within an eighth of the size: it went well so far. Inferred bounds are no ground to warn on."""
    if use is None or use.peak is None or bounds.source is Source.INFERRED or use.running_on is RunningOn.FOREIGN:
        return []
    size = bounds.range.size
    if size and use.peak > size - size // 8:
        message = f"{use.peak} of its {size} bytes of stack were in use at the peak."
        return [Finding(Severity.NOTE, "stack-peak-high", message, thread.tid)]
    return []
