"""How a program died: the signal, the verdict, and the instructions around the place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """One disassembled instruction. ``text`` is mnemonic and operands; ``is_current`` marks the one at the pc."""

    address: int
    data: bytes
    text: str
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """The death of a program, or its arrest by a signal.

    ``signal_name`` is "SIGSEGV"; ``code`` and ``code_name`` are si_code of sigaction(2) ("SEGV_ACCERR"); ``address`` is si_addr, None where
    siginfo has none. ``verdict`` is a stable word ("stack-overflow", "null-dereference", "abort", "unknown"), ``message`` one sentence
    with the evidence.
    """

    tid: int
    signal: int
    signal_name: str
    verdict: str
    message: str
    code: int | None = None
    code_name: str | None = None
    address: int | None = None
    instructions: tuple[Instruction, ...] = ()
