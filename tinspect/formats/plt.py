"""Which function a procedure linkage table entry calls: the jump's slot in the GOT, and the relocation that fills that slot."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tinspect.formats.elf import ElfImage, Section

_RELOCATION = struct.Struct("<QQq")  # Elf64_Rela
_RELOCATION_LIMIT = 1_000_000
_ENTRY = 16


def parse_plt_slots(image: ElfImage) -> Iterator[tuple[int, int, int]]:
    """(address, size, GOT slot) of every PLT entry. Any bytes are accepted; what is no PLT entry is left out."""
    decode = {62: _x86_slot, 183: _aarch64_slot}.get(image.header.machine)
    if decode is None:
        return
    for section in image.sections:
        if section.name in (".plt", ".plt.sec", ".plt.got", ".iplt"):
            data = image.find_section_data(section.name)
            if data is not None and len(data) == section.size:
                size = _entry_size(section, image.header.machine)
                for offset in range(0, len(data) - size + 1, size):
                    slot = decode(bytes(data[offset : offset + size]), section.address + offset)
                    if slot is not None:
                        yield section.address + offset, size, slot


def _entry_size(section: Section, machine: int) -> int:
    # x86-64: .plt.got without CET has 8-byte entries; sh_entsize says so (binutils 2.40, bfd/elf64-x86-64.c).
    return 8 if machine == 62 and section.entry_size == 8 else _ENTRY


def _x86_slot(code: bytes, address: int) -> int | None:
    """``[endbr64] [bnd] jmp *disp32(%rip)`` at the start of the entry."""
    position = 4 if code.startswith(b"\xf3\x0f\x1e\xfa") else 0
    position += code[position : position + 1] == b"\xf2"
    if code[position : position + 2] != b"\xff\x25":
        return None
    displacement = int.from_bytes(code[position + 2 : position + 6], "little", signed=True)
    return address + position + 6 + displacement


def _aarch64_slot(code: bytes, address: int) -> int | None:
    """``adrp x16, page; ldr x17, [x16, #offset]; add x16, x16, #offset; br x17`` (AAELF64)."""
    words: tuple[int, int, int, int] = struct.unpack("<4I", code)
    adrp, load, _, branch = words
    if adrp & 0x9F00001F != 0x90000010 or load & 0xFFC003FF != 0xF9400211 or branch != 0xD61F0220:
        return None
    immediate = ((adrp >> 5) & 0x7FFFF) << 2 | (adrp >> 29) & 3
    if immediate & 0x100000:
        immediate -= 0x200000
    return (address & ~0xFFF) + (immediate << 12) + ((load >> 10) & 0xFFF) * 8


def parse_slot_symbols(image: ElfImage) -> dict[int, tuple[int, int]]:
    """GOT slot → (index of the dynamic symbol, addend); index 0 where the slot is filled by an IFUNC resolver at the addend."""
    result: dict[int, tuple[int, int]] = {}
    for section in image.sections:
        if section.name not in (".rela.plt", ".rela.dyn", ".rela.iplt"):
            continue
        data = image.find_section_data(section.name)
        if data is None:
            continue
        count = min(len(data) // _RELOCATION.size, _RELOCATION_LIMIT)
        for slot, info, addend in _RELOCATION.iter_unpack(data[: count * _RELOCATION.size]):
            if info >> 32 or info & 0xFFFFFFFF in (37, 1032):  # R_X86_64_IRELATIVE, R_AARCH64_IRELATIVE
                result[slot] = (info >> 32, addend)
    return result
