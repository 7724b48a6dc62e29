"""Words that point into a stack, a guard or an alternate stack of another thread."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a reference into another thread's stack amounts to, worst last."""

    DECLARED = "declared"  # a loan in the runtime's registry covers it
    LIVE = "live"  # into a frame that is active now
    GUARD = "guard"  # into a guard
    DANGLING_FRAME = "dangling_frame"  # below the target's stack pointer: that frame has returned
    DANGLING_THREAD = "dangling_thread"  # into the stack of a thread that has ended


class Confidence(StrEnum):
    """How much weighs for the word being a pointer in use, rather than left-over bytes."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class PlaceKind(StrEnum):
    """Where the pointing word lies."""

    REGISTER = "register"
    STACK = "stack"
    HEAP = "heap"
    GLOBAL = "global"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class ReferenceSource:
    """The place of the pointing word. ``address`` is None for a register, ``register`` for all else."""

    kind: PlaceKind
    address: int | None = None
    register: str | None = None
    frame: int | None = None
    function: str | None = None
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class ReferenceTarget:
    """What the word points to: region ("stack", "altstack", "guard", "cached_stack"), frame, offset in bytes from the frame's sp."""

    region: str
    frame: int | None = None
    function: str | None = None
    offset: int | None = None
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class StackReference:
    """One word of a thread (or of the process) that points into another thread's stack.

    ``from_tid`` is None for heap and globals; ``to_tid`` is None when the stack's thread is gone.
    ``origin`` names libc's own pointers ("pthread_create leftover", "robust list"), which views fold away; None otherwise.
    """

    from_tid: int | None
    place: ReferenceSource
    to_tid: int | None
    value: int
    target: ReferenceTarget
    verdict: Verdict
    confidence: Confidence
    reasons: tuple[str, ...] = ()
    scope: int | None = None
    writable: bool | None = None
    origin: str | None = None
