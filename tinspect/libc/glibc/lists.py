"""glibc's lists of thread stacks: in use, given by the user, and kept of finished threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.errors import MemoryUnreadable
from tinspect.libc.glibc.layout import Descriptor, PthreadLayout, parse_descriptor
from tinspect.libc.glibc.thread_db import ThreadDb
from tinspect.target.memory import MemoryReader, find_word

LIMIT = 1_000_000  # threads of one process; a longer list is a damaged one


@dataclass(frozen=True, slots=True)
class StackLists:
    """Addresses of the list heads (list_t: next, prev). None where no symbol leads to it."""

    used: int | None = None
    user: int | None = None
    cache: int | None = None

    @property
    def live(self) -> tuple[int, ...]:
        """The heads of the lists that hold living threads."""
        return tuple(head for head in (self.used, self.user) if head is not None)

    @property
    def all(self) -> tuple[int, ...]:
        """Every head that is known."""
        return tuple(head for head in (self.used, self.user, self.cache) if head is not None)


def find_stack_lists(database: ThreadDb) -> StackLists:
    """The heads, wherever this release has them: _rtld_global (2.34 and later), libpthread's own (before), a static program's."""
    symbols, module = database.symbols, database.module
    pointer = symbols.find_address("__nptl_rtld_global", module)
    base = find_word(database.memory, pointer) if pointer is not None else None
    if base is not None:
        used = database.find_offset("rtld_global", "_dl_stack_used")
        user = database.find_offset("rtld_global", "_dl_stack_user")
        if used is not None and user is not None:
            # sysdeps/generic/ldsodefs.h (2.34 to 2.43): _dl_stack_used, _dl_stack_user, _dl_stack_cache in this order.
            return _with_checked_cache(database.memory, StackLists(base + used, base + user, base + user + 16))

    def first(*names: str) -> int | None:
        return next((found for name in names if (found := symbols.find_address(name, module)) is not None), None)

    return StackLists(
        first("_dl_stack_used", "stack_used"),
        first("_dl_stack_user", "__stack_user"),
        first("_dl_stack_cache", "stack_cache"),
    )


def _with_checked_cache(memory: MemoryReader, lists: StackLists) -> StackLists:
    """``lists`` without its cache when that head is no list: its place is taken from the order of the fields, so it is checked."""
    cache = lists.cache
    first = find_word(memory, cache) if cache is not None else None
    if cache is not None and first and find_word(memory, first + 8) == cache:
        return lists
    return StackLists(lists.used, lists.user, None)


def walk_list(memory: MemoryReader, head: int) -> Iterator[int]:
    """The addresses of the nodes, head left out. Ends early at what cannot be read, at a loop, and after LIMIT nodes."""
    seen = {head}
    node = find_word(memory, head)
    while node and node not in seen and len(seen) <= LIMIT:
        seen.add(node)
        yield node
        node = find_word(memory, node)


def read_descriptors(memory: MemoryReader, layout: PthreadLayout, head: int) -> Iterator[Descriptor]:
    """Every readable descriptor of a list, sound or not."""
    for node in walk_list(memory, head):
        descriptor = read_descriptor(memory, layout, node - layout.links)
        if descriptor is not None:
            yield descriptor


def read_descriptor(memory: MemoryReader, layout: PthreadLayout, address: int) -> Descriptor | None:
    """The descriptor at ``address``, or None when it cannot be read."""
    try:
        return parse_descriptor(layout, address, memory.read(address, layout.highest))
    except (MemoryUnreadable, ValueError, OverflowError):
        return None
