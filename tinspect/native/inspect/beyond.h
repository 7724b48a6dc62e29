/* The optional parts of a plan: what lies one step beyond the descriptors and what they point to. */
#ifndef TI_BEYOND_H
#define TI_BEYOND_H

#include "copies.h"
#include "plan.h"
#include "threads.h"

struct ti_beyond {
    const struct ti_plan *plan;
    const struct ti_threads *threads;
    const struct ti_copies *copies; /* holds what the plan's tables point to */
    struct ti_reader *reader;
    const struct ti_patience *patience;
};

/* Adds the inner blocks of tables, and the nodes of chains, to `wanted`. 0 or ENOMEM. */
int ti_beyond_blocks(const struct ti_beyond *beyond, struct ti_ranges *wanted);
/*
 * Adds what registers point to, where it was touched and is not copied: registers hold anything, and reading a page
 * that was never touched would change the target, or wait for whoever serves its page faults (userfaultfd(2)). 0 or
 * ENOMEM.
 */
int ti_beyond_registers(const struct ti_beyond *beyond, struct ti_ranges *wanted);

#endif
