"""Which locks are held, by whom, and who waits for them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinspect.model.lock import Lock, Waiter, WaitKind

_LOCK_KINDS = {WaitKind.MUTEX: "mutex", WaitKind.CONDVAR: "condvar"}


def analyze(known: Sequence[Lock], waits: Mapping[int, Waiter]) -> tuple[Lock, ...]:
    """The locks the runtime's registry knows, and those that threads were found waiting for, by address."""
    waiting: dict[int, list[int]] = defaultdict(list)
    by_address = {lock.address: lock for lock in known}
    for tid, waiter in waits.items():
        if waiter.address is None or waiter.kind not in _LOCK_KINDS:
            continue
        waiting[waiter.address].append(tid)
        found = Lock(waiter.address, _LOCK_KINDS[waiter.kind], waiter.source, owner_tid=waiter.owner_tid)
        by_address.setdefault(waiter.address, found)
    return tuple(
        replace(lock, waiters=tuple(sorted({*lock.waiters, *waiting[address]})))
        for address, lock in sorted(by_address.items())
    )
