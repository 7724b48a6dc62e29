/* The right to touch a spawned thread's outcome: see enum ti_fate. */
#ifndef TI_FATE_H
#define TI_FATE_H

#include "slots.h"

/* Waits while the slot's thread of that generation is TI_FATE_BUSY. */
void ti_fate_await(struct ti_thread_slot *thread, uint32_t generation);

/* Sets `set` if the slot still has that generation and none of the bits in `unless`; the bits seen before in *seen.
 * Waits while it is TI_FATE_BUSY. False: stale, or a bit of `unless` was there. */
bool ti_fate_set(struct ti_thread_slot *thread, uint32_t generation, uint32_t set, uint32_t unless, uint32_t *seen);

/* Clears bits that the caller has set. */
void ti_fate_clear(struct ti_thread_slot *thread, uint32_t bits);

/* acquire: who sees ENDED sees the outcome. */
static inline uint32_t ti_fate_of(struct ti_thread_slot *thread)
{
    return (uint32_t)atomic_load_explicit(&thread->fate, memory_order_acquire);
}

/* relaxed: whoever finds the slot later does so by an id or a list that was published after this. */
static inline void ti_fate_init(struct ti_thread_slot *thread, uint32_t bits)
{
    ti_set(thread->fate, (uint64_t)ti_get(thread->record.slot.generation) << 32 | bits);
}

#endif
