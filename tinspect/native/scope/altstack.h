/* Alternate signal stacks. */
#ifndef TI_ALTSTACK_H
#define TI_ALTSTACK_H

#include "slots.h"

struct ti_altstack {
    uint64_t low, high; /* 0, 0: none */
    uint64_t guard_low; /* 0: not the runtime's */
};

/* Gives the calling thread its slot's alternate stack, unless somebody set one already. A machine without memory for
 * one leaves the thread without. */
struct ti_altstack ti_altstack_install(struct ti_thread_slot *self);

/* Writes it into a record whose sequence is odd. */
void ti_altstack_set(struct ti_thread_record *record, const struct ti_altstack *altstack);

void ti_altstack_freeze(void);
void ti_altstack_thaw(void);

#endif
