"""What a libc can tell of its threads: the one protocol that glibc and musl fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tinspect.model.address import AddressRange
from tinspect.model.gap import Gap
from tinspect.model.report import LibcInfo
from tinspect.model.stack import CachedStack, StackBounds
from tinspect.model.tls import TlsBlock, TlsDestructor, TlsKey, TlsSlot
from tinspect.target.plan import CapturePlan
from tinspect.target.target import Snapshot


@dataclass(frozen=True, slots=True)
class ThreadDescriptor:
    """One thread as libc's descriptor (struct pthread) tells it.

    ``address`` is the pthread_t, ``size`` the bytes of the descriptor. ``stack_block`` is everything libc mapped for the stack, guard
    included (None for the main thread); ``bounds`` what pthread_getattr_np(3) would tell; ``guard`` the zone libc protected, or None when
    the guard size is 0 or the memory was the user's own. ``reported_guard_size`` is what pthread_attr_getguardsize(3) would tell, in
    bytes. ``start_routine`` and ``start_argument`` are None for the main thread and where they could not be learnt.
    """

    tid: int
    address: int
    size: int
    is_main: bool
    bounds: StackBounds | None
    stack_block: AddressRange | None = None
    guard: AddressRange | None = None
    user_stack: bool = False
    start_routine: int | None = None
    start_argument: int | None = None
    reported_guard_size: int | None = None


@dataclass(frozen=True, slots=True)
class OwnPointer:
    """A word that libc itself keeps in one thread's memory or registers and that points into another thread's stack.

    Reported references at ``address`` (or in ``register`` of ``tid``) are folded away under the name ``origin``.
    """

    origin: str
    address: int | None = None
    tid: int | None = None
    register: str | None = None


@dataclass(frozen=True, slots=True)
class LibcThreads:
    """Every thread and every cached stack libc knows in one snapshot, by tid; and what could not be read."""

    descriptors: Mapping[int, ThreadDescriptor] = field(default_factory=dict)
    cached: tuple[CachedStack, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Libc(Protocol):
    """One libc found in a target, its layout proved on that target. Methods that read a snapshot never raise for a damaged one:
    what cannot be read is left out and named in the gaps they return."""

    @property
    def info(self) -> LibcInfo:
        """Name, version, and how the layout was learnt."""
        ...

    @property
    def own_module(self) -> str | None:
        """The path of the shared library that libc is; None in a static program."""
        ...

    @property
    def keys_max(self) -> int:
        """PTHREAD_KEYS_MAX: how many keys a process may have."""
        ...

    def capture_plan(self) -> CapturePlan:
        """What must be copied during the stop for the methods below."""
        ...

    def read_threads(self, snapshot: Snapshot) -> LibcThreads:
        """Descriptors of all threads, and the cached stacks of finished ones."""
        ...

    def read_keys(self, snapshot: Snapshot) -> tuple[tuple[TlsKey, ...], tuple[Gap, ...]]:
        """The keys in use, by number; symbols and modules are filled in by the analysis."""
        ...

    def read_slots(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor, keys: Mapping[int, TlsKey]
    ) -> tuple[tuple[TlsSlot, ...], tuple[Gap, ...]]:
        """The thread's current, non-null values of ``keys`` (what read_keys gave, by number), by key."""
        ...

    def read_tls_blocks(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsBlock, ...], tuple[Gap, ...]]:
        """Each loaded module's TLS block of the thread, by module id."""
        ...

    def read_exit_destructors(
        self, snapshot: Snapshot, descriptor: ThreadDescriptor
    ) -> tuple[tuple[TlsDestructor, ...], tuple[Gap, ...]]:
        """The functions registered to run at the thread's exit (C++ and Rust destructors), where libc's symbols allow."""
        ...

    def own_pointers(self, snapshot: Snapshot, threads: LibcThreads) -> tuple[OwnPointer, ...]:
        """The words libc itself keeps that point across stacks: list links, robust lists, join waiters, start arguments."""
        ...
