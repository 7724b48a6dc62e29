/* Where a thread's stack and its guard are. */
#ifndef TI_BOUNDS_H
#define TI_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

struct ti_stack_bounds {
    uint64_t low, high;             /* as pthread_getattr_np says */
    uint64_t guard_low, guard_high; /* equal: none */
};

/* Bounds of the calling thread without a system call or an allocation, if the descriptor's layout is known; else false.
 */
bool ti_bounds_from_descriptor(struct ti_stack_bounds *bounds);

/* Has the descriptor's layout been learnt, or found to be unknown? */
bool ti_bounds_are_learnt(void);

/* Bounds of the calling thread, by any means; learns the descriptor's layout on the way. False: not to be had. */
bool ti_bounds_of_current(struct ti_stack_bounds *bounds);

#endif
