"""Finds, in a libc's code, the instructions that let a thread make a system call and come back by itself."""

from __future__ import annotations

import re
from typing import NamedTuple

RED_ZONE = 128
DROPPED_MOST = 4096


class SyscallGadgets(NamedTuple):
    """Addresses of instruction sequences, in the order `_inspect.inject_sigaltstack` takes them."""

    syscall_return: int
    pop_rdi_return: int
    pop_rsi_return: int
    pop_rax_return: int
    return_far: int
    signal_return: int


_SEQUENCES = (
    b"\x0f\x05\xc3",  # syscall; ret
    b"\x5f\xc3",  # pop rdi; ret
    b"\x5e\xc3",  # pop rsi; ret
    b"\x58\xc3",  # pop rax; ret
)
# ret N, N no more than DROPPED_MOST or little more; two may overlap. It begins with a byte of its own, which re finds fast.
_RETURN_FAR = re.compile(rb"\xc2(?=(.[\x00-\x10]))", re.DOTALL)
_SIGNAL_RETURN = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"  # mov rax, 15; syscall: glibc and musl alike


def find_gadgets(text: bytes, base: int) -> SyscallGadgets | None:
    """Find the gadgets in x86-64 machine code that is mapped, executable, at `base`; None unless all are there.

    They need not lie at the borders of instructions. Of the `ret N` one is taken that drops the fewest bytes: at least
    the red zone (128, System V ABI), at most 4096, a multiple of 8.
    """
    found = [text.find(sequence) for sequence in (*_SEQUENCES, _SIGNAL_RETURN)]
    far = _find_return_far(text)
    if far is None or min(found) < 0:
        return None
    *simple, signal_return = found
    return SyscallGadgets(*(base + offset for offset in (*simple, far, signal_return)))


def _find_return_far(text: bytes) -> int | None:
    drops = ((int.from_bytes(match[1], "little"), match.start()) for match in _RETURN_FAR.finditer(text))
    usable = [drop for drop in drops if RED_ZONE <= drop[0] <= DROPPED_MOST and drop[0] % 8 == 0]
    return min(usable)[1] if usable else None
