"""What to copy during the stop. libc and the runtime's reader say what they will need; the backend copies it in one go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tinspect.model.address import AddressRange


@dataclass(frozen=True, slots=True)
class ThreadTable:
    """``count`` pointers at thread pointer + ``offset``; of each not null, ``size`` bytes from pointer − ``before`` on are copied.

    ``inner`` are (offset, size) pairs: the word at pointer + offset points to ``size`` bytes that are copied too. What cannot be read
    is left out.
    """

    offset: int
    count: int
    before: int
    size: int
    inner: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ThreadChain:
    """A linked list that begins with the pointer at thread pointer + ``offset``: of each node, [node + ``record_offset``,
    + ``record_size``) is copied, and the word at node + ``next_offset`` leads on. It ends at null, at a node seen before, at what
    cannot be read, and after ``limit`` nodes."""

    offset: int
    record_offset: int
    record_size: int
    next_offset: int
    limit: int = 4096


@dataclass(frozen=True, slots=True)
class LinkedList:
    """A circular doubly linked list: nodes from ``head`` on; of each, [node − link_offset + record_offset, + record_size) is copied."""

    head: int
    link_offset: int
    record_offset: int
    record_size: int
    limit: int = 100_000


@dataclass(frozen=True, slots=True)
class SlotTable:
    """``count`` records, ``stride`` bytes apart, from ``address`` on. Each begins with a 32-bit sequence number that its writer raises
    before and after it writes: odd in between."""

    address: int
    stride: int
    count: int

    @property
    def range(self) -> AddressRange:
        """All of its slots."""
        return AddressRange.sized(self.address, self.stride * self.count)


@dataclass(frozen=True, slots=True)
class SlotGroup:
    """Tables of records that are given out and taken back meanwhile. ``head`` is copied with them; the 64-bit word at ``epoch``, within
    it, is raised before and after each such change: odd in between."""

    head: AddressRange
    epoch: int
    tables: tuple[SlotTable, ...]


class StackRuleKind(IntEnum):
    """How two words of the descriptor tell where the stack ends."""

    LOW_AND_SIZE = 0
    TOP_AND_SIZE = 1


@dataclass(frozen=True, slots=True)
class StackRule:
    """Offsets from the thread pointer of the two words that bound the thread's stack block."""

    first: int
    second: int
    kind: StackRuleKind


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """Everything to copy while the target stands still. Plans are joined with ``+``.

    ``register_pointers`` are (register, before, size): of every thread, ``size`` bytes from the register's value − ``before`` on are
    copied, where the target has touched them. ``slot_groups`` need care only where the target runs on while it is copied.
    ``vectors`` asks for floating-point and vector registers, which a snapshot file keeps and no report needs.
    """

    fixed: tuple[AddressRange, ...] = ()
    thread_relative: tuple[tuple[int, int], ...] = ()
    thread_tables: tuple[ThreadTable, ...] = ()
    lists: tuple[LinkedList, ...] = ()
    thread_chains: tuple[ThreadChain, ...] = ()
    register_pointers: tuple[tuple[str, int, int], ...] = ()
    slot_groups: tuple[SlotGroup, ...] = ()
    stack_rule: StackRule | None = None
    stack_cap: int = 9 << 20  # bytes: a stack of the usual 8 MiB, and what of its guard an overflow has reached
    vectors: bool = False

    def __add__(self, other: CapturePlan) -> CapturePlan:
        return CapturePlan(
            self.fixed + other.fixed,
            self.thread_relative + other.thread_relative,
            self.thread_tables + other.thread_tables,
            self.lists + other.lists,
            self.thread_chains + other.thread_chains,
            self.register_pointers + other.register_pointers,
            self.slot_groups + other.slot_groups,
            self.stack_rule or other.stack_rule,
            max(self.stack_cap, other.stack_cap),
            self.vectors or other.vectors,
        )

    @property
    def standing(self) -> tuple[AddressRange, ...]:
        """The ranges that can be copied as they are from a target that stands still: the fixed ones, and every slot."""
        tables = (table.range for group in self.slot_groups for table in group.tables)
        return (*self.fixed, *(group.head for group in self.slot_groups), *tables)
