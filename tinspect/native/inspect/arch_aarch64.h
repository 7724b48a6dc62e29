/* What the stop needs to know of aarch64. */
#ifndef TI_ARCH_AARCH64_H
#define TI_ARCH_AARCH64_H

#include <elf.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

typedef struct user_regs_struct ti_arch_registers; /* x0..x30, sp, pc, pstate */

#define TI_ARCH_VECTOR_SET NT_PRFPREG

static inline size_t ti_arch_vectors_size(void)
{
    return sizeof(struct user_fpsimd_struct); /* v0..v31, fpsr, fpcr */
}

static inline size_t ti_arch_vector_component(unsigned number, size_t *offset)
{
    (void)number;
    (void)offset;
    return 0;
}

static inline uint64_t ti_arch_sp(const ti_arch_registers *registers)
{
    return registers->sp;
}

/* TPIDR_EL0 is no general register here, but a register set of its own. */
static inline uint64_t ti_arch_thread_pointer(pid_t tid, const ti_arch_registers *registers)
{
    (void)registers;
    uint64_t pointer = 0;
    struct iovec vector = {&pointer, sizeof pointer};
    return ptrace(PTRACE_GETREGSET, tid, (void *)NT_ARM_TLS, &vector) == 0 ? pointer : 0;
}

/* arm64 decides about a restart before it stops for the tracer (do_signal in arch/arm64/kernel/signal.c), and the first
 * argument, which a restart needs, is in no register set: an EINTR cannot be undone here. */
static inline bool ti_arch_was_interrupted(const ti_arch_registers *registers)
{
    (void)registers;
    return false;
}

static inline bool ti_arch_may_restart(const ti_arch_registers *registers)
{
    (void)registers;
    return false;
}

static inline bool ti_arch_is_at_syscall(pid_t tid, const ti_arch_registers *registers)
{
    (void)tid;
    (void)registers;
    return false;
}

static inline bool ti_arch_set_result(pid_t tid, long result)
{
    (void)tid;
    (void)result;
    return false;
}

#endif
