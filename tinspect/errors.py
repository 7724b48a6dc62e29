"""The exception tree. Every class says what went wrong and what its user can do next."""

from __future__ import annotations


class TinspectError(Exception):
    """Base of every error tinspect raises on purpose.

    ``message`` is one sentence with the cause; ``next_step`` is what to do about it (may be empty).
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class TargetNotFound(TinspectError):
    """No such process, or it ended before anything could be learnt."""


class TargetRefused(TinspectError):
    """The process exists, but may not be inspected: rights, another tracer, a kernel thread, ourselves."""


class TargetLost(TinspectError):
    """The process ended, or executed another program, while it was being inspected."""


class UnsupportedTarget(TinspectError):
    """A foreign architecture, a 32-bit process, or a kernel without what is needed."""


class FormatError(TinspectError):
    """Bytes that are not what they claim to be: a damaged or hostile file, or a torn structure."""


class UsageError(TinspectError):
    """The command line, or an argument of a public function, makes no sense (exit status 64)."""


class MemoryUnreadable(TinspectError):
    """An address range of the target that cannot be read: unmapped, a guard, or not captured.

    ``address`` and ``size`` are the range asked for, in bytes.
    """

    def __init__(self, address: int, size: int, why: str = "not mapped, or not readable") -> None:
        super().__init__(f"{size} bytes at {address:#x} cannot be read: {why}.")
        self.address = address
        self.size = size


class LayoutUnknown(TinspectError):
    """A structure of libc or of the runtime whose layout could not be learnt, or did not hold on the target."""
