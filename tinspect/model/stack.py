"""Stacks: bounds, guards, use, and alternate signal stacks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinspect.model.address import AddressRange
from tinspect.model.source import Source


class GuardKind(StrEnum):
    """What keeps a thread from running past the low end of its stack."""

    MPROTECT = "mprotect"
    MADVISE = "madvise"
    KERNEL_GAP = "kernel_gap"
    NONE = "none"
    UNKNOWN = "unknown"


class RunningOn(StrEnum):
    """Which stack the stack pointer of a thread lies in."""

    STACK = "stack"
    ALTSTACK = "altstack"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class SignalStackState(StrEnum):
    """sigaltstack(2): ss_flags of the installed alternate signal stack, and whether the thread runs on it."""

    ENABLED = "enabled"
    ONSTACK = "onstack"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StackBounds:
    """The usable stack of a thread: what pthread_getattr_np(3) reports in that thread. The guard lies below ``range.low``."""

    range: AddressRange
    source: Source


@dataclass(frozen=True, slots=True)
class GuardRegion:
    """The inaccessible zone below a stack. ``range`` is None when there is none (``kind`` none) or it is unknown.

    ``distance`` is sp − range.high in bytes: negative when the thread has run into it; None when sp is not on that stack.
    """

    kind: GuardKind
    range: AddressRange | None
    source: Source
    distance: int | None = None


@dataclass(frozen=True, slots=True)
class StackUse:
    """How much of a stack is used: bytes from the top. ``used`` = high − sp now; ``peak`` = high − lowest touched byte."""

    used: int | None
    peak: int | None
    used_source: Source = Source.UNKNOWN
    peak_source: Source = Source.UNKNOWN
    running_on: RunningOn = RunningOn.UNKNOWN


@dataclass(frozen=True, slots=True)
class SignalStack:
    """A thread's alternate signal stack (sigaltstack(2)). ``flags`` are names ("SS_AUTODISARM", "SS_ONSTACK")."""

    state: SignalStackState
    range: AddressRange | None
    flags: tuple[str, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class CachedStack:
    """A stack that libc keeps of a finished thread: a pointer into it dangles. ``range`` includes the guard zone.

    ``descriptor`` is the address of the finished thread's descriptor in it: a pointer to that is an old pthread_t.
    """

    range: AddressRange
    guard_size: int
    source: Source
    tid: int | None = None
    descriptor: int | None = None
