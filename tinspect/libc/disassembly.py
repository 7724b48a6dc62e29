"""Memory operands of a function's instructions: how offsets are learnt from libc's own code when nothing describes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tinspect.arch import Architecture
from tinspect.errors import MemoryUnreadable
from tinspect.target.memory import MemoryReader

_CODE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """One memory operand: ``segment:[base + index + displacement]`` of ``size`` bytes in the instruction ``mnemonic`` at ``address``.

    Register names are capstone's ("" when absent); ``next_address`` is the address after the instruction, which rip stands for;
    ``written`` is the register the instruction writes when its first operand is one, else "".
    """

    address: int
    next_address: int
    mnemonic: str
    segment: str
    base: str
    index: str
    displacement: int
    size: int
    written: str


def read_code(memory: MemoryReader, address: int, limit: int = _CODE_LIMIT) -> bytes:
    """As much code as can be read from ``address`` on, at most ``limit`` bytes; empty when none can."""
    while limit:
        try:
            return memory.read(address, limit)
        except MemoryUnreadable:
            limit //= 2
    return b""


def memory_accesses(architecture: Architecture, code: bytes, address: int) -> Iterator[MemoryAccess]:
    """The memory operands in ``code``, in order. Nothing on architectures other than x86-64, or where capstone is missing."""
    if architecture.name != "x86_64":
        return
    try:
        import capstone
    except ImportError:
        return
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = True
    for instruction in engine.disasm(code, address):
        operands = instruction.operands
        for operand in operands:
            if operand.type != capstone.x86.X86_OP_MEM:
                continue
            place = operand.mem
            first = operands[0]
            yield MemoryAccess(
                address=instruction.address,
                next_address=instruction.address + instruction.size,
                mnemonic=instruction.mnemonic,
                segment=instruction.reg_name(place.segment) or "",
                base=instruction.reg_name(place.base) or "",
                index=instruction.reg_name(place.index) or "",
                displacement=place.disp,
                size=operand.size,
                written=(instruction.reg_name(first.reg) or "") if first.type == capstone.x86.X86_OP_REG else "",
            )
