/* The calling thread's record, and threads that nobody will join. */
#ifndef TI_CURRENT_H
#define TI_CURRENT_H

#include "bounds.h"
#include "internal.h"
#include "slots.h"

/* A thread that ends without a joiner: its slot is given out again once the kernel knows it no more. Until then its
 * alternate stack and its record stay, because its thread-local destructors may still run. */
void ti_limbo_push(struct ti_thread_slot *thread);
/* Frees what has ended in limbo; one load if there is nothing. */
void ti_limbo_sweep(void);
void ti_limbo_freeze(void);
void ti_limbo_thaw(void);

/* Gives a thread's slot back. */
void ti_thread_slot_release(struct ti_thread_slot *thread);

/* The calling thread's function has ended: its thread-local destructors come next. */
void ti_enter_destructors(struct ti_thread_record *self);

/* Writes bounds into a record whose sequence is odd. */
void ti_bounds_set(struct ti_thread_record *record, const struct ti_stack_bounds *bounds);

static inline ti_thread ti_thread_handle(struct ti_thread_record *record)
{
    return (ti_thread){ti_get(record->slot.id), ti_get(record->slot.number), ti_get(record->slot.generation)};
}

static inline struct ti_thread_slot *ti_current_slot(void)
{
    return ti_thread_slot_of(ti_current_record());
}

#endif
