#include "fate.h"

#include <sched.h>

bool ti_fate_set(struct ti_thread_slot *thread, uint32_t generation, uint32_t set, uint32_t unless, uint32_t *seen)
{
    uint64_t fate = atomic_load_explicit(&thread->fate, memory_order_relaxed);
    for (;;) {
        *seen = (uint32_t)fate;
        if (fate >> 32 != generation || (*seen & unless) != 0) {
            return false;
        }
        if ((*seen & TI_FATE_REAPING) != 0) {
            sched_yield();
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
    atomic_fetch_and_explicit(&thread->fate, ~(uint64_t)bits, memory_order_release);
}
