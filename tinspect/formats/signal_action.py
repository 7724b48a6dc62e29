"""A signal's action as the kernel keeps it (sigaction(2); include/uapi/asm-generic/signal-defs.h)."""

from __future__ import annotations

from tinspect.formats.siginfo import signal_name
from tinspect.model.signals import SignalHandler
from tinspect.model.source import Source

SA_ONSTACK = "SA_ONSTACK"

_SIG_IGN = 1  # 0 is SIG_DFL
_FLAGS = {
    0x00000001: "SA_NOCLDSTOP",
    0x00000002: "SA_NOCLDWAIT",
    0x00000004: "SA_SIGINFO",
    0x00000400: "SA_UNSUPPORTED",
    0x00000800: "SA_EXPOSE_TAGBITS",
    0x08000000: SA_ONSTACK,
    0x10000000: "SA_RESTART",
    0x40000000: "SA_NODEFER",
    0x80000000: "SA_RESETHAND",
}
# Of libc's own making, and (SA_IMMUTABLE, include/linux/signal_types.h) of the kernel's.
_UNTOLD = 0x04000000 | 0x00800000


def signal_handler_of(number: int, handler: int, flags: int, source: Source) -> SignalHandler | None:
    """The handler of signal ``number``, or None when it is ignored or left to its default."""
    if handler <= _SIG_IGN:
        return None
    names = [name for bit, name in _FLAGS.items() if flags & bit]
    rest = flags & ~_UNTOLD & ~sum(_FLAGS)
    return SignalHandler(number, signal_name(number), handler, (*names, *((f"{rest:#x}",) if rest else ())), source)
