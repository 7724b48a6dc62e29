"""What a process does on a signal (sigaction(2))."""

from __future__ import annotations

from dataclasses import dataclass

from tinspect.model.source import Source


@dataclass(frozen=True, slots=True)
class SignalHandler:
    """A handler that the process has installed. ``handler`` is its address, ``symbol`` its name where there is one.

    ``flags`` are names ("SA_ONSTACK", "SA_SIGINFO"), without SA_RESTORER, which every libc sets; bits without a name are hex.
    """

    signal: int
    name: str
    handler: int
    flags: tuple[str, ...]
    source: Source
    symbol: str | None = None
