"""aarch64: AAPCS64, linux/arch/arm64/include/uapi/asm/{ptrace,sigcontext,ucontext}.h."""

from __future__ import annotations

from tinspect.arch.architecture import Architecture, RegisterLayout

_GENERAL = tuple(f"x{number}" for number in range(31))

# struct rt_sigframe: siginfo (128 bytes), then ucontext: uc_flags 0, uc_link 8, uc_stack 16, uc_sigmask 40 (padded to 128 bytes),
# uc_mcontext at 176 (16-aligned): fault_address, regs[31], sp, pc, pstate.
_UCONTEXT = 128
_REGISTERS = _UCONTEXT + 176 + 8

AARCH64 = Architecture(
    name="aarch64",
    elf_machine=183,
    registers=RegisterLayout((*_GENERAL, "sp", "pc", "pstate"), pc="pc", sp="sp"),
    red_zone=0,
    page_size=4096,
    frame_pointer="x29",
    return_address_column=30,
    dwarf_registers={**dict(enumerate(_GENERAL)), 31: "sp"},
    callee_saved=(*_GENERAL[19:30], "sp"),
    syscall_number="x8",
    syscall_arguments=_GENERAL[:6],
    syscall_instruction=bytes.fromhex("010000d4"),  # svc #0
    thread_pointer=None,
    sigframe_registers={name: _REGISTERS + 8 * index for index, name in enumerate((*_GENERAL, "sp", "pc", "pstate"))},
    sigframe_uc_stack=_UCONTEXT + 16,
    sigreturn_code=bytes.fromhex("681180d2010000d4"),  # mov x8, #139; svc #0
    minimum_signal_stack=5120,
    tls_variant=1,
)
