"""What the scoped-thread runtime says about itself through its registry (docs/internals/registry-format)."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.model.address import AddressRange


@dataclass(frozen=True, slots=True)
class Loan:
    """A range of the owner's memory lent to a scope. ``mode`` is "shared" or "exclusive".

    ``borrower_tid`` None means any thread of the scope."""

    range: AddressRange
    mode: str
    lender_tid: int | None
    lender_frame: int | None
    borrower_tid: int | None
    scope: int
    taken_at: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope of threads: all of ``threads`` end before it does. ``phase`` is "body", "joining" or "done".

    ``orphaned`` is True when the owner was lost in a fork. ``created_at`` is a code address, ``frame`` a stack address.
    """

    id: int
    owner_tid: int | None
    parent: int | None
    name: str
    phase: str
    running: int
    panicked: bool
    closed: bool
    threads: tuple[int, ...]
    borrows: tuple[Loan, ...]
    created_at: int | None = None
    frame: int | None = None
    orphaned: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeThread:
    """A thread as the runtime's registry tells it. ``state`` is a word of the registry ("running", "parked" …).

    ``waits_owner_tid`` is the thread it waits for: the one it joins, or the holder of the lock where that lock is named.
    """

    id: int
    tid: int
    pthread: int | None
    parent: int | None
    scope: int | None
    name: str
    state: str
    stack: AddressRange | None
    guard: AddressRange | None
    signal_stack: AddressRange | None
    entry: int | None
    waits_kind: str | None = None
    waits_address: int | None = None
    waits_owner_tid: int | None = None
    panic_message: str | None = None
