/* Which parts of which stacks a capture copies. */
#ifndef TI_STACKS_H
#define TI_STACKS_H

#include "copies.h"
#include "plan.h"
#include "threads.h"

struct ti_stack_sources {
    const struct ti_plan *plan;
    const struct ti_threads *threads;
    const struct ti_copies *copies; /* holds the words of the stack rule */
    pid_t tid;                      /* a thread that is held: the leader may have ended */
    uint64_t budget;                /* bytes for all stacks together */
};

/*
 * Adds to `wanted` the live part of every stopped thread's stack, [sp - red zone, top), and of a thread that runs
 * elsewhere (an alternate signal stack, a fiber) that stack and the touched pages of its own. Nothing that the target
 * never touched is asked for below a stack pointer or on an idle stack: reading would map the zero page there, and the
 * stack would look deeper used than it was. What a cap leaves out is a gap. 0 or ENOMEM.
 */
int ti_stacks_plan(const struct ti_stack_sources *sources, struct ti_ranges *wanted, struct ti_gaps *gaps);

#endif
