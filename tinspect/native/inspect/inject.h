/* Asks stopped threads for their alternate signal stacks, by making each run sigaltstack(NULL, …) once. */
#ifndef TI_INJECT_H
#define TI_INJECT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject_image.h"

struct ti_inject_request {
    pid_t tid;
    uint64_t stack_low, stack_high; /* the stack that is the thread's to use; it must be on it, with room below */

    /* The answer, as sigaltstack() gave it. */
    uint64_t sp, size;
    int flags;
    int error;       /* 0, or why there is no answer … */
    const char *why; /* … in words; NULL with 0 */
};

struct ti_inject {
    pid_t pid;
    struct ti_gadgets gadgets;
    struct ti_inject_request *requests;
    size_t count;
    uint64_t timeout_ns; /* for each batch of threads */
};

/*
 * Stops the threads batch by batch, asks each, and lets them go. Call it on a thread that ends soon afterwards (see
 * stop.h). 0 when every request has its answer or its reason; EINVAL when the gadgets aren't there, ENOSYS where we
 * know no way, ESRCH, EPERM, ECANCELED, ENOMEM.
 */
int ti_inject_run(struct ti_inject *inject, const atomic_bool *cancelled);

#endif
