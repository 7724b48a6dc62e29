/* Reasons not to make a thread run a system call. */
#ifndef TI_INJECT_CHECK_H
#define TI_INJECT_CHECK_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

#include "inject.h"
#include "inject_memory.h"

struct ti_refusal {
    int error;       /* EAGAIN: another try may find the thread elsewhere */
    const char *why; /* NULL: none */
};

/* Fills return_far_dropped. False unless every gadget is what its name says, in the target's memory. */
bool ti_inject_check_gadgets(const struct ti_inject_memory *memory, struct ti_gadgets *gadgets);

/* Asks /proc and ptrace about a stopped thread. */
struct ti_refusal ti_inject_check_thread(pid_t pid, pid_t tid, const struct user_regs_struct *registers);
/* For a thread stopped in its own code: not within a restartable sequence, which our detour would break in two. */
struct ti_refusal ti_inject_check_sequence(const struct ti_inject_memory *memory, pid_t tid, uint64_t pc);
/*
 * For the same: not on its way to a call that the kernel has put off, by itself or out of the detour of a tracer that
 * was killed. A second detour would end in rt_sigreturn, which drops what the kernel keeps of that call: it would see
 * EINTR.
 */
struct ti_refusal ti_inject_check_place(const struct ti_inject_memory *memory, const struct ti_gadgets *gadgets,
                                        const struct user_regs_struct *registers);
/* The image, and room to spare, must lie on the thread's own stack, in memory that it may write. */
struct ti_refusal ti_inject_check_room(const struct ti_inject_request *request, const struct ti_inject_memory *memory,
                                       const struct ti_image *image, uint64_t sp);

#endif
