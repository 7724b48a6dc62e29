"""Which locks of the scoped-thread runtime are held, by whom, and who waits for them?

Locks that the registry does not know show as what a thread waits for, and no more is said of them: their holder is told only where the
lock itself names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinspect.model.lock import Lock, Waiter


def analyze(known: Sequence[Lock], waits: Mapping[int, Waiter]) -> tuple[Lock, ...]:
    """The registry's locks by address, each with every thread that was found waiting for it."""
    waiting: dict[int, set[int]] = defaultdict(set)
    for tid, waiter in waits.items():
        if waiter.address is not None:
            waiting[waiter.address].add(tid)
    ordered = sorted(known, key=lambda lock: lock.address)
    return tuple(replace(lock, waiters=tuple(sorted({*lock.waiters, *waiting[lock.address]}))) for lock in ordered)
