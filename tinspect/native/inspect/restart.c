/*
 * Most blocking calls restart by themselves after a stop. Some return -EINTR instead, which a program that handles no
 * signals has never seen (signal(7)): epoll_wait, sigtimedwait, semop, sockets with a timeout. Where the stop finds
 * such a result, -ERESTARTNOHAND in its place makes the kernel begin the call anew. A timeout starts anew with it.
 *
 * Why -ERESTARTNOHAND, and not another restart code: it restarts only if no signal handler runs. When a real signal is
 * pending as well, whether it came before the stop, with it or during it, its handler runs and the program sees the
 * EINTR that it would have seen without us; so no race with a signal needs to be decided here.
 *
 * Why this is safe if tinspect is killed at any instant: it is one PTRACE_POKEUSER of one register, which the kernel
 * does whole or not at all, and both values are results that the kernel itself leaves in a stopped thread: with the old
 * one the program sees EINTR, as from any debugger; with the new one the call restarts. Nothing has to be put back
 * later.
 *
 * Only a stop by PTRACE_INTERRUPT is treated. In a signal-delivery stop the signal caused the EINTR, in a group-stop
 * job control did, and both happen without us too.
 */
#include "restart.h"

enum { KERNEL_ERESTARTNOHAND = 514 }; /* include/linux/errno.h: never leaves the kernel, so no user header has it */

void ti_restart_mark(struct ti_thread *thread)
{
    uint32_t others = TI_THREAD_SIGNAL_DELIVERY | TI_THREAD_GROUP_STOP | TI_THREAD_EXECED | TI_THREAD_FOREIGN_ABI;
    if (!(thread->flags & others) && ti_arch_was_interrupted(&thread->registers) &&
        ti_arch_may_restart(&thread->registers)) {
        thread->flags |= TI_THREAD_INTERRUPTED;
    }
}

void ti_restart_undo(struct ti_thread *thread)
{
    if ((thread->flags & TI_THREAD_INTERRUPTED) && ti_arch_is_at_syscall(thread->tid, &thread->registers) &&
        ti_arch_set_result(thread->tid, -KERNEL_ERESTARTNOHAND)) {
        thread->flags |= TI_THREAD_RESTARTED;
    }
}
