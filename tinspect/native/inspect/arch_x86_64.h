/* What the stop needs to know of x86-64. */
#ifndef TI_ARCH_X86_64_H
#define TI_ARCH_X86_64_H

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

typedef struct user_regs_struct ti_arch_registers; /* NT_PRSTATUS's pr_reg: 27 words, fs_base and gs_base included */

#define TI_ARCH_VECTOR_SET NT_X86_XSTATE

/* The most that set can have: the XSAVE area with every feature that the system has enabled (Intel SDM, CPUID leaf 0Dh,
 * EBX); the FXSAVE area where there is no XSAVE. */
static inline size_t ti_arch_vectors_size(void)
{
    unsigned a, size, c, d;
    return __get_cpuid_count(0xd, 0, &a, &size, &c, &d) && size > 512 ? size : 512;
}

/* Where the XSAVE area has component `number` (2 and up), and its size: 0 for one that this processor has not. */
static inline size_t ti_arch_vector_component(unsigned number, size_t *offset)
{
    unsigned size = 0, where = 0, c, d;
    if (!__get_cpuid_count(0xd, number, &size, &where, &c, &d)) {
        return 0;
    }
    *offset = where;
    return where ? size : 0; /* one that only supervisors see has no place */
}

static inline uint64_t ti_arch_sp(const ti_arch_registers *registers)
{
    return registers->rsp;
}

static inline uint64_t ti_arch_thread_pointer(pid_t tid, const ti_arch_registers *registers)
{
    (void)tid;
    return registers->fs_base;
}

/* -EINTR in a system call that is about to return: orig_rax is -1 when an interrupt brought the thread into the kernel.
 */
static inline bool ti_arch_was_interrupted(const ti_arch_registers *registers)
{
    return (long)registers->rax == -EINTR && (long)registers->orig_rax >= 0;
}

/* System calls that a stop makes fail with EINTR (signal(7), "Interruption of system calls ... by stop signals", and
 * the socket calls with a timeout), and that did nothing when they do. close(2) is not one: its descriptor is gone. */
static inline bool ti_arch_may_restart(const ti_arch_registers *registers)
{
    switch (registers->orig_rax) {
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_io_uring_enter:
        return true;
    default:
        return false;
    }
}

/* The instruction before pc is `syscall` (0f 05): the call was made by the 64-bit table, and repeating it repeats that.
 */
static inline bool ti_arch_is_at_syscall(pid_t tid, const ti_arch_registers *registers)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, tid, (void *)(registers->rip - 2), NULL);
    return errno == 0 && (word & 0xffff) == 0x050f;
}

/* Writes the result register and nothing else; the kernel does the restart (arch_do_signal_or_restart). */
static inline bool ti_arch_set_result(pid_t tid, long result)
{
    return ptrace(PTRACE_POKEUSER, tid, (void *)offsetof(struct user, regs.rax), (void *)result) == 0;
}

#endif
