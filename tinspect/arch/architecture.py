"""The table every architecture fills in."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tinspect.errors import FormatError
from tinspect.model.registers import RegisterSet


@dataclass(frozen=True, slots=True)
class RegisterLayout:
    """Order of the 64-bit registers in the kernel's NT_PRSTATUS register set (linux/elf.h; struct user_regs_struct)."""

    names: tuple[str, ...]
    pc: str
    sp: str

    @property
    def size(self) -> int:
        """Bytes of the register set."""
        return 8 * len(self.names)

    def parse(self, data: bytes) -> RegisterSet:
        """The registers in ``data``. Raises FormatError when it is shorter than the set."""
        if len(data) < self.size:
            raise FormatError(f"a register set of {len(data)} bytes, where {self.size} are needed.")
        values = struct.unpack_from(f"<{len(self.names)}Q", data)
        by_name = dict(zip(self.names, values, strict=True))
        return RegisterSet(self.names, values, by_name[self.pc], by_name[self.sp])


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture.

    ``red_zone`` is the bytes below sp that a leaf function may use (psABI). ``dwarf_registers`` maps DWARF register numbers to
    names of ``registers``; ``return_address_column`` is DWARF's number of the return address. ``callee_saved`` are names that a
    called function preserves. ``syscall_number``/``syscall_arguments`` name the registers of the call
    convention; ``syscall_instruction`` is the code that makes a call, where no register tells that a thread is in one (x86-64's
    orig_rax does); ``thread_pointer`` names the register that holds it, where the set has it (fs_base).
    ``sigframe_registers`` maps register names to byte offsets from sp at the entry of the sigreturn trampoline;
    ``sigframe_uc_stack`` is the offset of uc_stack from there. ``xsave`` tells that ptrace(2) gives vector registers as an XSAVE area.
    """

    name: str
    elf_machine: int
    registers: RegisterLayout
    red_zone: int
    page_size: int
    frame_pointer: str
    return_address_column: int
    dwarf_registers: dict[int, str]
    callee_saved: tuple[str, ...]
    syscall_number: str
    syscall_arguments: tuple[str, ...]
    syscall_instruction: bytes | None
    thread_pointer: str | None
    sigframe_registers: dict[str, int]
    sigframe_uc_stack: int
    sigreturn_code: bytes
    minimum_signal_stack: int
    tls_variant: int
    xsave: bool = False
