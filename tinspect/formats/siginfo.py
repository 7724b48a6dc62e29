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
_SENDER = struct.Struct("<iI")
_FAULTS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP))
_SI_KERNEL = 0x80

_ANY_CODES: dict[int, str] = {
    0: "sent by kill",
    -1: "sent by sigqueue",
    -2: "a timer ran out",
    -3: "a message queue changed",
    -4: "asynchronous input or output ended",
    -5: "input or output is possible",
    -6: "sent by tgkill",
    _SI_KERNEL: "sent by the kernel",
}
_CODES: dict[tuple[int, int], str] = {
    (signal.SIGSEGV, 1): "address not mapped",
    (signal.SIGSEGV, 2): "no permission for the mapping",
    (signal.SIGSEGV, 3): "failed bounds check",
    (signal.SIGSEGV, 4): "denied by a protection key",
    (signal.SIGSEGV, 8): "memory tag mismatch, found late",
    (signal.SIGSEGV, 9): "memory tag mismatch",
    (signal.SIGSEGV, 10): "control protection",
    (signal.SIGSEGV, _SI_KERNEL): "general protection: an address that is none, or a privileged instruction",
    (signal.SIGBUS, 1): "misaligned address",
    (signal.SIGBUS, 2): "past the end of the mapped file",
    (signal.SIGBUS, 3): "hardware error",
    (signal.SIGBUS, 4): "memory failure in use",
    (signal.SIGBUS, 5): "memory failure found by scrubbing",
    (signal.SIGILL, 1): "illegal opcode",
    (signal.SIGILL, 2): "illegal operand",
    (signal.SIGILL, 3): "illegal addressing mode",
    (signal.SIGILL, 4): "illegal trap",
    (signal.SIGILL, 5): "privileged opcode",
    (signal.SIGFPE, 1): "integer division by zero",
    (signal.SIGFPE, 2): "integer overflow",
    (signal.SIGFPE, 3): "floating-point division by zero",
    (signal.SIGFPE, 4): "floating-point overflow",
    (signal.SIGFPE, 5): "floating-point underflow",
    (signal.SIGFPE, 6): "inexact floating-point result",
    (signal.SIGFPE, 7): "invalid floating-point operation",
    (signal.SIGTRAP, 1): "breakpoint",
    (signal.SIGTRAP, 2): "trace trap",
    (signal.SIGSYS, 1): "system call refused by a seccomp filter",
}


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """A delivered signal. ``address`` is None where the signal carries none; ``sender`` is the pid of kill and its like."""

    number: int
    code: int
    address: int | None = None
    sender: int | None = None
    sender_user: int | None = None


def parse_siginfo(data: bytes | memoryview) -> SignalInfo:
    """siginfo_t. Raises FormatError when it is too short."""
    if len(data) < 24:
        raise FormatError(f"a siginfo of {len(data)} bytes.")
    number, _, code = _HEAD.unpack_from(data)
    # SI_KERNEL faults (general protection) leave si_addr 0 without meaning it.
    if number in _FAULTS and 0 < code != _SI_KERNEL:
        return SignalInfo(number, code, address=_ADDRESS.unpack_from(data, 16)[0])
    if code in (0, -1, -6):
        sender, user = _SENDER.unpack_from(data, 16)
        return SignalInfo(number, code, sender=sender, sender_user=user)
    return SignalInfo(number, code)


def pack_siginfo(number: int, code: int, address: int | None) -> bytes:
    """The 128 bytes of NT_SIGINFO."""
    return (_HEAD.pack(number, 0, code) + _ADDRESS.pack(address or 0)).ljust(SIZE, b"\0")


def signal_name(number: int) -> str:
    """ "SIGSEGV"; "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe_code(number: int, code: int) -> str:
    """si_code in words, or "code N" when it has none."""
    return _CODES.get((number, code)) or _ANY_CODES.get(code) or f"code {code}"
