"""siginfo_t as NT_SIGINFO holds it (sigaction(2); include/uapi/asm-generic/siginfo.h), and its codes in words."""

from __future__ import annotations

import signal
import struct
from dataclasses import dataclass
from typing import Final

from tinspect.errors import FormatError

SIZE: Final = 128

_HEAD = struct.Struct("<iii4x")
_ADDRESS = struct.Struct("<Q")
_FAULTS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP))
SI_USER: Final = 0
SI_KERNEL: Final = 0x80

_ANY_CODES: dict[int, tuple[str, str]] = {
    SI_USER: ("SI_USER", "sent by kill"),
    -1: ("SI_QUEUE", "sent by sigqueue"),
    -2: ("SI_TIMER", "a timer ran out"),
    -3: ("SI_MESGQ", "a message queue changed"),
    -4: ("SI_ASYNCIO", "asynchronous input or output ended"),
    -5: ("SI_SIGIO", "input or output is possible"),
    -6: ("SI_TKILL", "sent by tgkill"),
    SI_KERNEL: ("SI_KERNEL", "sent by the kernel"),
}
_CODES: dict[tuple[int, int], tuple[str, str]] = {
    (signal.SIGSEGV, 1): ("SEGV_MAPERR", "address not mapped"),
    (signal.SIGSEGV, 2): ("SEGV_ACCERR", "no permission for the mapping"),
    (signal.SIGSEGV, 3): ("SEGV_BNDERR", "failed bounds check"),
    (signal.SIGSEGV, 4): ("SEGV_PKUERR", "denied by a protection key"),
    (signal.SIGSEGV, 8): ("SEGV_MTEAERR", "memory tag mismatch, found late"),
    (signal.SIGSEGV, 9): ("SEGV_MTESERR", "memory tag mismatch"),
    (signal.SIGSEGV, 10): ("SEGV_CPERR", "control protection"),
    (signal.SIGSEGV, SI_KERNEL): (
        "SI_KERNEL",
        "general protection: an address that is none, or a privileged instruction",
    ),
    (signal.SIGBUS, 1): ("BUS_ADRALN", "misaligned address"),
    (signal.SIGBUS, 2): ("BUS_ADRERR", "past the end of the mapped file"),
    (signal.SIGBUS, 3): ("BUS_OBJERR", "hardware error"),
    (signal.SIGBUS, 4): ("BUS_MCEERR_AR", "memory failure in use"),
    (signal.SIGBUS, 5): ("BUS_MCEERR_AO", "memory failure found by scrubbing"),
    (signal.SIGILL, 1): ("ILL_ILLOPC", "illegal opcode"),
    (signal.SIGILL, 2): ("ILL_ILLOPN", "illegal operand"),
    (signal.SIGILL, 3): ("ILL_ILLADR", "illegal addressing mode"),
    (signal.SIGILL, 4): ("ILL_ILLTRP", "illegal trap"),
    (signal.SIGILL, 5): ("ILL_PRVOPC", "privileged opcode"),
    (signal.SIGFPE, 1): ("FPE_INTDIV", "integer division by zero"),
    (signal.SIGFPE, 2): ("FPE_INTOVF", "integer overflow"),
    (signal.SIGFPE, 3): ("FPE_FLTDIV", "floating-point division by zero"),
    (signal.SIGFPE, 4): ("FPE_FLTOVF", "floating-point overflow"),
    (signal.SIGFPE, 5): ("FPE_FLTUND", "floating-point underflow"),
    (signal.SIGFPE, 6): ("FPE_FLTRES", "inexact floating-point result"),
    (signal.SIGFPE, 7): ("FPE_FLTINV", "invalid floating-point operation"),
    (signal.SIGTRAP, 1): ("TRAP_BRKPT", "breakpoint"),
    (signal.SIGTRAP, 2): ("TRAP_TRACE", "trace trap"),
    (signal.SIGSYS, 1): ("SYS_SECCOMP", "system call refused by a seccomp filter"),
}


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """A delivered signal. ``address`` is None where the signal carries none."""

    number: int
    code: int
    address: int | None = None


def parse_siginfo(data: bytes | memoryview) -> SignalInfo:
    """siginfo_t. Raises FormatError when it is too short."""
    if len(data) < 24:
        raise FormatError(f"a siginfo of {len(data)} bytes.")
    number, _, code = _HEAD.unpack_from(data)
    if has_address(number, code):
        return SignalInfo(number, code, address=_ADDRESS.unpack_from(data, 16)[0])
    return SignalInfo(number, code)


def has_address(number: int, code: int) -> bool:
    """Whether si_addr means something: a fault, and not a signal of that number that somebody sent (there the bytes are the sender's
    ids), nor a general protection (SI_KERNEL), which leaves it 0."""
    return number in _FAULTS and 0 < code != SI_KERNEL


def pack_siginfo(number: int, code: int, address: int | None) -> bytes:
    """The 128 bytes of NT_SIGINFO."""
    return (_HEAD.pack(number, 0, code) + _ADDRESS.pack(address or 0)).ljust(SIZE, b"\0")


def signal_name(number: int) -> str:
    """ "SIGSEGV"; "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def code_name(number: int, code: int) -> str | None:
    """si_code as its header calls it ("SEGV_ACCERR"), or None for one without a name."""
    found = _CODES.get((number, code)) or _ANY_CODES.get(code)
    return found[0] if found else None


def describe_code(number: int, code: int) -> str:
    """si_code in words, or "code N" when it has none."""
    found = _CODES.get((number, code)) or _ANY_CODES.get(code)
    return found[1] if found else f"code {code}"
