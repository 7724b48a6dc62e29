"""Locks, and who waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinspect.model.source import Source


class WaitKind(StrEnum):
    """What a thread waits for."""

    MUTEX = "mutex"
    CONDVAR = "condvar"
    JOIN = "join"
    FUTEX = "futex"
    SYSCALL = "syscall"


@dataclass(frozen=True, slots=True)
class Waiter:
    """What one thread waits for: ``address`` of the lock or futex word, its owner where known, the system call it sits in.

    ``syscall`` is the name ("futex"); ``arguments`` the decoded call as strace would write it.
    """

    kind: WaitKind
    source: Source
    address: int | None = None
    owner_tid: int | None = None
    syscall: str | None = None
    arguments: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock the runtime's registry knows: kind ("mutex", "rwlock" …), owner, waiting threads, poison.

    ``owner_tid`` is None when nobody holds it, and when it is not known who does: ``held`` tells the two apart. It is None for what keeps
    no owner: those who read under an rwlock, and what is not held at all (a condvar, a barrier).
    """

    address: int
    kind: str
    source: Source
    name: str = ""
    owner_tid: int | None = None
    waiters: tuple[int, ...] = ()
    poisoned: bool = False
    held: bool | None = None
