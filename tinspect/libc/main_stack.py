"""The stack of the thread the process began with. No libc keeps its bounds: pthread_getattr_np works them out when it is asked."""

from __future__ import annotations

from tinspect.formats.auxv import AT_PAGESZ
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.mapping import MappingTable
from tinspect.target.target import Snapshot

_PAGE_SIZES = frozenset((4096, 16384, 65536))  # of every architecture in tinspect.arch


def told_page_size(snapshot: Snapshot) -> int:
    """AT_PAGESZ in bytes; where a damaged core tells none, or none that there is, the architecture's least."""
    told = snapshot.facts.auxv.get(AT_PAGESZ)
    return told if told in _PAGE_SIZES else snapshot.architecture.page_size


def glibc_main_stack(mappings: MappingTable, stack_end: int, stack_limit: int, page_size: int) -> AddressRange | None:
    """What glibc's pthread_getattr_np (nptl/pthread_getattr_np.c, 2.31 to 2.43) computes; None when no mapping holds ``stack_end``.

    ``stack_end`` is __libc_stack_end, ``stack_limit`` RLIMIT_STACK's soft limit in bytes (−1: unlimited). The top is the end of the
    page of ``stack_end``; the size is the limit less what lies above it, cut to pages, and never reaches into the mapping below.
    """
    holder = mappings.find(stack_end)
    if holder is None:
        return None
    top = stack_end // page_size * page_size + page_size
    size = (stack_limit - (holder.range.high - top)) % ADDRESS_LIMIT // page_size * page_size
    below = max((entry.range.high for entry in mappings if entry.range.high <= holder.range.low), default=0)
    return AddressRange(max(top - size, below), top)


def musl_main_stack(mappings: MappingTable, auxv_address: int, page_size: int) -> AddressRange | None:
    """What musl's pthread_getattr_np (src/thread/pthread_getattr_np.c, 1.1.22 to 1.2.6) finds by probing with mremap; None if unmapped.

    From the page that ends above the auxiliary vector down to the first page that is not mapped.
    """
    top = -(-auxv_address // page_size) * page_size
    low = top - page_size
    holder = mappings.find(low)
    if holder is None:
        return None
    while holder is not None:
        low = holder.range.low
        holder = mappings.find(low - 1) if low else None
    return AddressRange(low, top)
