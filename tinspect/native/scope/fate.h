/* The right to touch a spawned thread's outcome: see enum ti_fate. */
#ifndef TI_FATE_H
#define TI_FATE_H

#include "slots.h"

/* Sets `set` if the slot still has that generation and none of the bits in `unless`; the bits seen before in *seen.
 * Waits while another thread is looking (TI_FATE_REAPING). False: stale, or a bit of `unless` was there. */
bool ti_fate_set(struct ti_thread_slot *thread, uint32_t generation, uint32_t set, uint32_t unless, uint32_t *seen);

/* Clears bits that the caller has set. */
void ti_fate_clear(struct ti_thread_slot *thread, uint32_t bits);

static inline uint32_t ti_fate_of(struct ti_thread_slot *thread)
{
    return (uint32_t)atomic_load_explicit(&thread->fate, memory_order_acquire);
}

static inline void ti_fate_init(struct ti_thread_slot *thread, uint32_t bits)
{
    ti_set(thread->fate, (uint64_t)ti_get(thread->record.slot.generation) << 32 | bits);
}

#endif
