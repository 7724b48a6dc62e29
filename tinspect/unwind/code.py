"""What machine code tells without call frame information: whether an address can be a return address, and whose call it follows."""

from __future__ import annotations

from collections.abc import Callable

from tinspect.arch import Architecture

_X86_64, _AARCH64 = "x86_64", "aarch64"
_LONGEST_CALL = 8

ReadCode = Callable[[int, int], bytes | None]


def find_call(architecture: Architecture, read: ReadCode, address: int) -> int | None:
    """Whether a call instruction ends at ``address``: its target for a direct call, 0 for an indirect one, None for no call."""
    if architecture.name == _AARCH64:
        code = read(address - 4, 4) if address >= 4 and address % 4 == 0 else None
        return _aarch64_call(code, address) if code is not None else None
    if address < _LONGEST_CALL:
        return None
    code = read(address - _LONGEST_CALL, _LONGEST_CALL)
    return _x86_call(code, address) if code is not None else None


def _aarch64_call(code: bytes, address: int) -> int | None:
    word = int.from_bytes(code, "little")
    if word >> 26 == 0b100101:  # bl
        offset = word & 0x3FFFFFF
        offset -= (offset & 0x2000000) << 1
        return (address - 4 + offset * 4) % (1 << 64)
    return 0 if word & 0xFFFFFC1F == 0xD63F0000 else None  # blr


def _x86_call(code: bytes, address: int) -> int | None:
    """``e8 rel32``, or ``ff /2`` in the lengths its ModRM byte gives (Intel SDM vol. 2, 2.1)."""
    if code[-5] == 0xE8:
        return (address + int.from_bytes(code[-4:], "little", signed=True)) % (1 << 64)
    for length in range(2, _LONGEST_CALL):
        modrm = code[-length + 1]
        if code[-length] == 0xFF and (modrm >> 3) & 7 == 2 and _modrm_length(modrm, code[-length + 2 :]) == length:
            return 0
    return None


def _modrm_length(modrm: int, rest: bytes) -> int:
    """Bytes of opcode, ModRM, SIB and displacement."""
    mode, base = modrm >> 6, modrm & 7
    if mode == 3:
        return 2
    has_sib = base == 4
    displacement = {0: 4 if base == 5 else 0, 1: 1, 2: 4}[mode]
    if mode == 0 and has_sib and rest and rest[0] & 7 == 5:
        displacement = 4
    return 2 + has_sib + displacement


def find_prologue_offset(architecture: Architecture, read: ReadCode, start: int, pc: int) -> int | None:
    """Bytes from sp to the return address when ``pc`` stands in the first instructions of the x86-64 function at ``start``.

    That is before ``push %rbp`` (0) or right after it (8); None anywhere else, where the code itself no longer tells.
    """
    if architecture.name != _X86_64 or not 0 <= pc - start <= 8:
        return None
    code = read(start, 5)
    if code is None:
        return None
    push = 4 if code[:4] == b"\xf3\x0f\x1e\xfa" else 0
    if pc - start <= push:
        return 0
    return 8 if pc - start == push + 1 and code[push] == 0x55 else None
