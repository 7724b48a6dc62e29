"""The fields of glibc's struct pthread that are needed, and one descriptor parsed by them (nptl/descr.h)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinspect.model.address import ADDRESS_LIMIT, AddressRange

_WORD = struct.Struct("<Q")
_MOST_BYTES = 1 << 16  # no struct pthread comes near; a larger number is damage

LEVEL_SIZE = 32  # PTHREAD_KEY_2NDLEVEL_SIZE: slots in a block, and blocks in a thread (sysdeps/nptl/internaltypes.h)
SLOT_BYTES = 16  # struct pthread_key_data: seq, data
DTV_ENTRY_BYTES = 16  # dtv_t: counter, or value and to_free (sysdeps/generic/dl-dtv.h)


@dataclass(frozen=True, slots=True)
class StackFields:
    """Byte offsets in struct pthread of the words that bound a thread's stack."""

    block: int
    block_size: int
    guard_size: int
    reported_guard_size: int

    @classmethod
    def consecutive(cls, first: int) -> StackFields:
        """The four words one after the other, as in every glibc since 2.4."""
        return cls(first, first + 8, first + 16, first + 24)


@dataclass(frozen=True, slots=True)
class PthreadLayout:
    """Byte offsets in struct pthread. ``dtv`` is where the pointer to the DTV lies, ``specific`` the 32 block pointers.

    ``self_words`` are the offsets of words that hold the descriptor's own address (tcbhead_t on x86-64; none on aarch64).
    ``thread_pointer`` is what is added to the descriptor's address to get the thread pointer. ``start_routine`` may be unknown.
    """

    size: int
    tid: int
    links: int
    specific: int
    dtv: int
    stack: StackFields
    self_words: tuple[int, ...] = ()
    thread_pointer: int = 0
    start_routine: int | None = None

    @property
    def robust_list(self) -> int:
        """The kernel's robust_list_head. Since 2.4: list (2 words), tid (and 4 bytes), robust_prev, robust_head."""
        return self.tid + 16

    @property
    def highest(self) -> int:
        """Bytes of the descriptor that the fields reach; a descriptor is never smaller."""
        return max(self.size, self.stack.reported_guard_size + 8, self.dtv + 8)

    def is_plausible(self) -> bool:
        """Whether every field lies in the structure."""
        offsets = (self.tid, self.links, self.specific, self.stack.block, self.stack.reported_guard_size)
        return 0 < self.size <= _MOST_BYTES and all(0 < offset <= self.size - 4 for offset in offsets)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The raw words of one struct pthread at ``address``."""

    address: int
    tid: int
    stack_block: int
    stack_size: int
    guard_size: int
    reported_guard_size: int
    names_itself: bool

    @property
    def is_initial(self) -> bool:
        """Whether it has no stack block: the thread the process began with (its size word holds __libc_stack_end)."""
        return self.stack_block == 0

    @property
    def is_sound(self) -> bool:
        """The proof: it names itself, and lies within the stack block it tells of, whose guard leaves room."""
        if not self.names_itself:
            return False
        if self.is_initial:
            return 0 < self.stack_size < ADDRESS_LIMIT and self.guard_size == 0
        end = self.stack_block + self.stack_size
        return end <= ADDRESS_LIMIT and self.stack_block + self.guard_size < self.address < end

    @property
    def block(self) -> AddressRange | None:
        """Everything libc has for the stack, guard included; None for the initial thread. Only meaningful when sound."""
        return None if self.is_initial else AddressRange.sized(self.stack_block, self.stack_size)


def parse_descriptor(layout: PthreadLayout, address: int, data: bytes) -> Descriptor:
    """The descriptor at ``address``, from its ``layout.highest`` bytes."""

    def word(offset: int) -> int:
        return int(_WORD.unpack_from(data, offset)[0])

    return Descriptor(
        address=address,
        tid=int.from_bytes(data[layout.tid : layout.tid + 4], "little", signed=True),
        stack_block=word(layout.stack.block),
        stack_size=word(layout.stack.block_size),
        guard_size=word(layout.stack.guard_size),
        reported_guard_size=word(layout.stack.reported_guard_size),
        names_itself=all(word(offset) == address for offset in layout.self_words),
    )
