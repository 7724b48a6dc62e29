"""The fields of musl's struct pthread (src/internal/pthread_impl.h), and one descriptor parsed by them.

musl describes itself nowhere, so the rows below are tried on the target: the one whose every promise holds there is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.target.memory import MemoryReader

_WORD = struct.Struct("<Q")
SELF, DTV, PREVIOUS, NEXT = 0, 8, 16, 24
_MOST_THREADS = 1_000_000


@dataclass(frozen=True, slots=True)
class PthreadLayout:
    """Byte offsets in struct pthread that differ between releases; self, dtv, prev and next are the same in all of them."""

    tid: int

    @property
    def map_base(self) -> int:
        """map_base, map_size, stack, stack_size and guard_size follow one another from here."""
        return self.tid + 24

    @property
    def stack(self) -> int:
        """The end of the stack; the next word is its size."""
        return self.tid + 40

    @property
    def values(self) -> int:
        """tsd: the pointer to the values of keys."""
        return self.tid + 80

    @property
    def robust_list(self) -> int:
        """robust_list: head, off, pending."""
        return self.tid + 88

    @property
    def size(self) -> int:
        """Bytes up to the end of robust_list: all that is needed."""
        return self.tid + 112


# x86-64. 1.2.2 removed a word (canary2) before tid; before 1.1.22 there is no list of threads.
LAYOUTS = {"x86_64": (PthreadLayout(tid=48), PthreadLayout(tid=56))}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The raw words of one struct pthread at ``address``. ``stack_end`` is 0 for the initial thread."""

    address: int
    names_itself: bool
    tid: int
    previous: int
    following: int
    map_base: int
    map_size: int
    stack_end: int
    stack_size: int
    guard_size: int
    dtv: int
    values: int

    @property
    def is_initial(self) -> bool:
        """Whether it has no stack of musl's: the thread the process began with."""
        return self.stack_end == 0

    @property
    def map(self) -> AddressRange | None:
        """What musl mapped for the thread, guard included; None when it lies in the user's stack or in the initial thread's memory."""
        if not self.map_base or self.map_base + self.map_size > ADDRESS_LIMIT:
            return None
        return AddressRange.sized(self.map_base, self.map_size)

    @property
    def has_user_stack(self) -> bool:
        """Whether the stack lies outside the thread's own map (pthread_attr_setstack)."""
        return not self.is_initial and (self.map is None or self.stack_end - 1 not in self.map)

    @property
    def is_sound(self) -> bool:
        """The proof: it names itself, lies in its map or in the stack it was given, and that stack has room for its guard."""
        if not self.names_itself or self.tid <= 0:
            return False
        if self.is_initial:
            return self.stack_size == self.guard_size == self.map_base == 0
        if not 0 < self.stack_size <= self.stack_end:
            return False
        own = self.map
        if own is not None and self.address not in own:
            return False
        # Above the stack of a thread with a map lies its thread-local storage, below it the guard; it fills what is between.
        return own is None or self.has_user_stack or own.low + self.guard_size == self.stack_end - self.stack_size


def find_descriptor(memory: MemoryReader, layout: PthreadLayout, address: int) -> Descriptor | None:
    """The descriptor at ``address``, or None when it cannot be read."""
    try:
        data = memory.read(address, layout.size)
    except (MemoryUnreadable, ValueError, OverflowError):
        return None

    def word(offset: int) -> int:
        return int(_WORD.unpack_from(data, offset)[0])

    first = layout.map_base
    return Descriptor(
        address=address,
        names_itself=word(SELF) == address,
        tid=int.from_bytes(data[layout.tid : layout.tid + 4], "little", signed=True),
        previous=word(PREVIOUS),
        following=word(NEXT),
        map_base=word(first),
        map_size=word(first + 8),
        stack_end=word(first + 16),
        stack_size=word(first + 24),
        guard_size=word(first + 32),
        dtv=word(DTV),
        values=word(layout.values),
    )


def walk_circle(memory: MemoryReader, layout: PthreadLayout, start: int) -> Iterator[Descriptor]:
    """Every descriptor of the circular list through ``start``. Ends early at what cannot be read or does not link back."""
    address, previous = start, 0
    seen: set[int] = set()
    while address not in seen and len(seen) < _MOST_THREADS:
        descriptor = find_descriptor(memory, layout, address)
        if descriptor is None or not descriptor.names_itself or (previous and descriptor.previous != previous):
            return
        seen.add(address)
        yield descriptor
        address, previous = descriptor.following, address
