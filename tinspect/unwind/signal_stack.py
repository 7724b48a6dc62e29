"""Where the frame that the kernel built for a signal ends."""

from __future__ import annotations

from tinspect.arch import Architecture
from tinspect.unwind.stack_words import StackWords

_SS_DISABLE = 2


def find_frame_end(architecture: Architecture, words: StackWords, sp: int, interrupted_sp: int) -> int | None:
    """The end of the signal frame whose trampoline runs at ``sp``.

    On one stack it reaches up to where the interrupted code had its stack pointer (which call frame information gives as its CFA).
    On an alternate stack it is the first thing there, and reaches up to the end of that stack: uc_stack in the frame tells
    (sigaction(2), linux/kernel/signal.c save_altstack). None when neither fits.
    """
    place = sp + architecture.sigframe_uc_stack
    low, flags, size = words.word(place), words.number(place + 8, 4), words.word(place + 16)
    if low is not None and size is not None and flags is not None and not flags & _SS_DISABLE:
        high = low + size
        if low <= sp < high and not low <= interrupted_sp <= high:
            return high
    return interrupted_sp if interrupted_sp >= sp else None
