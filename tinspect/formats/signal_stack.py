"""stack_t of sigaltstack(2), as the kernel keeps it and as it writes it into signal frames."""

from __future__ import annotations

import struct

from tinspect.errors import FormatError
from tinspect.model.address import ADDRESS_LIMIT, AddressRange
from tinspect.model.source import Source
from tinspect.model.stack import SignalStack, SignalStackState

# asm-generic/signal.h and linux/signal.h.
SS_ONSTACK = 1
SS_DISABLE = 2
SS_AUTODISARM = 1 << 31

# {void *ss_sp; int ss_flags; size_t ss_size}: the same on every 64-bit Linux.
STACK_T = struct.Struct("<QIxxxxQ")


def parse_stack_t(data: bytes, sp: int | None, source: Source) -> SignalStack:
    """The value of a stack_t. Raises FormatError when ``data`` is cut off. See signal_stack_of for ``sp``."""
    if len(data) < STACK_T.size:
        raise FormatError("a stack_t that is cut off.")
    low, flags, size = STACK_T.unpack_from(data)
    return signal_stack_of(low, size, flags, sp, source)


def signal_stack_of(low: int, size: int, flags: int, sp: int | None, source: Source) -> SignalStack:
    """The alternate stack of ``size`` bytes at ``low``; the thread's ``sp`` tells whether it runs on it now (SS_ONSTACK of
    ``flags`` tells only of the moment they were written)."""
    names = ("SS_AUTODISARM",) if flags & SS_AUTODISARM else ()
    if flags & SS_DISABLE or size == 0:
        return SignalStack(SignalStackState.DISABLED, None, names, source)
    if low + size > ADDRESS_LIMIT:  # the kernel has no such: a damaged frame or record
        return SignalStack(SignalStackState.UNKNOWN, None, (), source)
    area = AddressRange.sized(low, size)
    if sp is not None and sp in area:
        return SignalStack(SignalStackState.ONSTACK, area, (*names, "SS_ONSTACK"), source)
    return SignalStack(SignalStackState.ENABLED, area, names, source)
