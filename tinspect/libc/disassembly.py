"""Memory operands of a function's instructions: how offsets are learnt from libc's own code when nothing describes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinspect.arch import Architecture
from tinspect.errors import MemoryUnreadable
from tinspect.target.memory import MemoryReader

_CODE_LIMIT = 1024
_AARCH64_WIDTHS = {"x": 8, "w": 4}


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
    """The memory operands in ``code``, in order. Nothing on unknown architectures, or where capstone is missing."""
    try:
        import capstone
    except ImportError:
        return
    if architecture.name == "x86_64":
        engine, accesses_of = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64), _x86_accesses
    elif architecture.name == "aarch64":
        engine, accesses_of = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN), _aarch64_accesses
    else:
        return
    engine.detail = True
    for instruction in engine.disasm(code, address):
        yield from accesses_of(instruction)


def _x86_accesses(instruction: Any) -> Iterator[MemoryAccess]:
    from capstone.x86 import X86_OP_MEM, X86_OP_REG

    operands = instruction.operands
    for operand in operands:
        if operand.type != X86_OP_MEM:
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
            written=(instruction.reg_name(first.reg) or "") if first.type == X86_OP_REG else "",
        )


def _aarch64_accesses(instruction: Any) -> Iterator[MemoryAccess]:
    """The registers before the memory operand say how many bytes each word of it has: a pair (ldp, stp) has two in a row."""
    from capstone.arm64 import ARM64_OP_MEM, ARM64_OP_REG

    operands = instruction.operands
    names = [instruction.reg_name(operand.reg) or "" for operand in operands if operand.type == ARM64_OP_REG]
    width = _AARCH64_WIDTHS.get(names[0][:1], 0) if names else 0
    words = names if instruction.mnemonic in ("ldp", "stp") else names[:1]
    for operand in operands:
        if operand.type != ARM64_OP_MEM:
            continue
        for number, name in enumerate(words):
            yield MemoryAccess(
                address=instruction.address,
                next_address=instruction.address + instruction.size,
                mnemonic=instruction.mnemonic,
                segment="",
                base=instruction.reg_name(operand.mem.base) or "",
                index=instruction.reg_name(operand.mem.index) or "",
                displacement=operand.mem.disp + number * width,
                size=width,
                written=name if instruction.mnemonic.startswith("ld") else "",
            )
