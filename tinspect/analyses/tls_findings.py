"""What is wrong, or about to go wrong, with pthread keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from tinspect.analyses.context import Context
from tinspect.analyses.reference_targets import without
from tinspect.analyses.value_words import Place, ValueWords
from tinspect.model.address import AddressRange, merged
from tinspect.model.report import Finding, Severity
from tinspect.model.tls import TlsKey, TlsSlot
from tinspect.target.scan import WordScanner

_NEARLY_FULL = 7 / 8
_NAMED_MODULES = 4
_VALUES_SEARCHED = 16  # a scan compares every word with each of them
_ALLOCATED = (Place.HEAP, Place.ANONYMOUS)


def analyze(
    context: Context,
    keys: tuple[TlsKey, ...],
    slots: Mapping[int, tuple[TlsSlot, ...]],
    scanner: WordScanner | None = None,
) -> tuple[Finding, ...]:
    """Destructors that are gone, a table that is nearly full, and with ``scanner`` values that nobody can free: programs free what is
    in keys without destructors themselves, which shows in the pointers they keep to it."""
    holders: dict[int, dict[int, int]] = defaultdict(dict)
    for tid, values in slots.items():
        for slot in values:
            holders[slot.key][tid] = slot.value
    leaks = _leaks(context, keys, holders, scanner) if scanner is not None else ()
    return (*_lost_destructors(keys, holders), *_nearly_full(context, keys), *leaks)


def _lost_destructors(keys: tuple[TlsKey, ...], holders: Mapping[int, Mapping[int, int]]) -> Iterator[Finding]:
    for key in keys:
        if not key.destructor or key.mapped is not False:
            continue
        count = len(holders.get(key.key, ()))
        message = f"the destructor of key {key.key}, {key.destructor:#x}, lies in memory that holds no code: its library was unloaded. "
        if count:
            message += f"{_threads(count)} a value in it: the first to end runs the destructor, and crashes."
            yield Finding(Severity.ERROR, "tls-destructor-unmapped", message)
        else:
            message += "No thread has a value in it now; one that gets one crashes when it ends."
            yield Finding(Severity.WARNING, "tls-destructor-unmapped", message)


def _threads(count: int) -> str:
    return "1 thread has" if count == 1 else f"{count} threads have"


def _nearly_full(context: Context, keys: tuple[TlsKey, ...]) -> Iterator[Finding]:
    most = context.libc.keys_max if context.libc is not None else 0
    if not most or len(keys) < most * _NEARLY_FULL:
        return
    modules = Counter(_holder(key) for key in keys)
    named = ", ".join(f"{name} {count:,}" for name, count in modules.most_common(_NAMED_MODULES))
    left = len(modules) - _NAMED_MODULES
    others = f", and {left} more" if left > 0 else ""
    message = f"{len(keys):,} of {most:,} keys are in use, by the module of the destructor: {named}{others}."
    yield Finding(Severity.ERROR if len(keys) == most else Severity.WARNING, "tls-keys-nearly-full", message)


def _holder(key: TlsKey) -> str:
    if not key.destructor:
        return "no destructor"
    return key.module.rpartition("/")[2] if key.module else "unknown"


def _leaks(
    context: Context, keys: tuple[TlsKey, ...], holders: Mapping[int, Mapping[int, int]], scanner: WordScanner
) -> Iterator[Finding]:
    """Allocated memory in a key without a destructor, to which nothing else points. A pointer that threads share is no thread's own,
    and the main thread's values live as long as the process."""
    words = ValueWords(context)
    main = {thread.tid for thread in context.snapshot.threads if thread.is_main}
    for key in keys:
        if key.destructor:
            continue
        values = holders.get(key.key, {})
        times = Counter(values.values())
        own = [
            tid
            for tid, value in values.items()
            if tid not in main and times[value] == 1 and words.place(value, tid)[0] in _ALLOCATED
        ][:_VALUES_SEARCHED]
        kept = _pointed_to(context, scanner, {values[tid] for tid in own})
        lost = [tid for tid in own if values[tid] not in kept]
        if lost:
            message = (
                f"key {key.key} has no destructor, and {_threads(len(lost))} allocated memory in it to which nothing in heap and "
                "static data points: it is lost when the thread ends, unless the thread itself frees it."
            )
            yield Finding(Severity.NOTE, "tls-value-leak", message, lost[0] if len(lost) == 1 else None)


def _pointed_to(context: Context, scanner: WordScanner, values: set[int]) -> set[int]:
    """Those of ``values`` that some writable word outside the threads' stacks, where the keys' own slots are, holds."""
    if not values:
        return set()
    threads = context.libc_threads
    stacks = [area for entry in threads.descriptors.values() if (area := entry.stack_block) is not None]
    taken = merged([*stacks, *(cached.range for cached in threads.cached)])
    sources = [
        part
        for mapping in context.snapshot.mappings
        if mapping.is_writable and mapping.is_readable
        for part in without(mapping.range, taken)
    ]
    wanted = [AddressRange.sized(value, 1) for value in sorted(values)]
    return {value for _, value in scanner.scan(sources, wanted)}
