"""x86-64: System V psABI 1.0, linux/arch/x86/include/uapi/asm/{ptrace,sigcontext,ucontext}.h."""

from __future__ import annotations

from tinspect.arch.architecture import Architecture, RegisterLayout

# struct user_regs_struct (sys/user.h).
_NAMES = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip

# psABI figure 3.36.
_DWARF = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip

# struct rt_sigframe without its leading return address: sp points at the ucontext when the trampoline runs.
# ucontext: uc_flags 0, uc_link 8, uc_stack 16 (ss_sp, ss_flags, ss_size), then sigcontext at 40.
_SIGCONTEXT = 40
_SIGCONTEXT_ORDER = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip", "eflags",
)  # fmt: skip

X86_64 = Architecture(
    name="x86_64",
    elf_machine=62,
    registers=RegisterLayout(_NAMES, pc="rip", sp="rsp"),
    red_zone=128,
    page_size=4096,
    frame_pointer="rbp",
    return_address_column=16,
    dwarf_registers=dict(enumerate(_DWARF)),
    callee_saved=("rbx", "rbp", "r12", "r13", "r14", "r15"),
    syscall_number="orig_rax",
    syscall_arguments=("rdi", "rsi", "rdx", "r10", "r8", "r9"),
    syscall_instruction=None,
    thread_pointer="fs_base",
    sigframe_registers={name: _SIGCONTEXT + 8 * index for index, name in enumerate(_SIGCONTEXT_ORDER)},
    sigframe_uc_stack=16,
    sigreturn_code=bytes.fromhex("48c7c00f0000000f05"),  # mov $15,%rax; syscall
    minimum_signal_stack=2048,
    tls_variant=2,
    xsave=True,
)
