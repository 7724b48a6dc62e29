#include "fate.h"

#include <sched.h>

void ti_fate_await(struct ti_thread_slot *thread, uint32_t generation)
{
    /* acquire: pairs with the release of ti_fate_clear. A busy bit of the slot's next thread is none of ours. */
    uint64_t fate = atomic_load_explicit(&thread->fate, memory_order_acquire);
    while ((fate & TI_FATE_BUSY) != 0 && fate >> 32 == generation) {
        sched_yield(); /* for the few instructions between a pthread call and what it taught */
        fate = atomic_load_explicit(&thread->fate, memory_order_acquire);
    }
}

bool ti_fate_set(struct ti_thread_slot *thread, uint32_t generation, uint32_t set, uint32_t unless, uint32_t *seen)
{
    uint64_t fate = atomic_load_explicit(&thread->fate, memory_order_relaxed);
    for (;;) {
        *seen = (uint32_t)fate;
        if (fate >> 32 != generation || (*seen & unless) != 0) {
            return false;
        }
        if ((*seen & TI_FATE_BUSY) != 0) {
            ti_fate_await(thread, generation);
            fate = atomic_load_explicit(&thread->fate, memory_order_relaxed);
            continue;
        }
        /* acquire: who sees ENDED sees the outcome; release: who sees the claim sees what came before it. */
        if (atomic_compare_exchange_weak_explicit(&thread->fate, &fate, fate | set, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
}

void ti_fate_clear(struct ti_thread_slot *thread, uint32_t bits)
{
    /* release: who waited for these bits to go sees what their setter stored meanwhile. */
    atomic_fetch_and_explicit(&thread->fate, ~(uint64_t)bits, memory_order_release);
}
