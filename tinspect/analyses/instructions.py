"""The instructions around a place in code, by capstone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinspect.errors import MemoryUnreadable
from tinspect.model.crash import Instruction
from tinspect.symbols.protocol import Symbolizer
from tinspect.target.memory import MemoryReader

_BEFORE = 6
_AFTER = 8
# x86 can only be read forwards from a known start; in a function longer than this the way is not worth its time.
_REACH = 1 << 16
_LONGEST = 16


def instructions_around(
    memory: MemoryReader, symbols: Symbolizer, architecture: str, pc: int
) -> tuple[Instruction, ...]:
    """A few instructions before ``pc`` (where its function's start is known and they lead to it), the one there, and a few after.
    () when the code cannot be read or capstone is missing."""
    start = _known_start(symbols, pc)
    decoded = _decode(memory, architecture, start, pc - start + _LONGEST * (_AFTER + 1))
    if not any(address == pc for address, _, _ in decoded):
        decoded = _decode(memory, architecture, pc, _LONGEST * (_AFTER + 1))
    index = next((number for number, entry in enumerate(decoded) if entry[0] == pc), None)
    if index is None:
        return ()
    shown = decoded[max(index - _BEFORE, 0) : index + _AFTER + 1]
    return tuple(Instruction(address, data, text, address == pc) for address, data, text in shown)


def _known_start(symbols: Symbolizer, pc: int) -> int:
    hit = symbols.find_symbol(pc)
    return hit.address if hit and hit.is_function and 0 <= pc - hit.address <= _REACH else pc


def _decode(memory: MemoryReader, architecture: str, start: int, size: int) -> list[tuple[int, bytes, str]]:
    code = _readable_code(memory, start, size)
    if not code:
        return []
    return [
        (entry.address, bytes(entry.bytes), f"{entry.mnemonic} {entry.op_str}".strip())
        for entry in _disassembled(architecture, code, start)
    ]


def _readable_code(memory: MemoryReader, start: int, size: int) -> bytes:
    """As much from ``start`` on as can be read, down to nothing: the code may end with its mapping."""
    while size >= 1:
        try:
            return memory.read(start, size)
        except (MemoryUnreadable, ValueError):
            size //= 2
    return b""


def _disassembled(architecture: str, code: bytes, start: int) -> Iterable[Any]:
    try:
        import capstone
    except ImportError:
        return ()
    if architecture == "x86_64":
        engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    else:
        engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    return tuple(engine.disasm(code, start))
