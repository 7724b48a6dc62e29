/* The barrier. Generation and arrivals share one word, so that more threads than `count` may use it: whoever comes
 * between the last arrival and the new generation is counted in the right one. */
#include "tinspect/sync.h"
#include "waiting.h"

static _Atomic uint32_t *generation_futex(ti_barrier *barrier)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (_Atomic uint32_t *)&barrier->state + 1;
#else
    return (_Atomic uint32_t *)&barrier->state;
#endif
}

static uint32_t generation_of(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

ti_status ti_barrier_init(ti_barrier *barrier, uint32_t count, const char *name)
{
    *barrier = (ti_barrier)TI_BARRIER_INIT(count);
    return ti_lock_name(&barrier->record, barrier, TI_LOCK_BARRIER, name);
}

ti_status ti_barrier_destroy(ti_barrier *barrier)
{
    if ((uint32_t)ti_get(barrier->state) != 0) {
        return ti_lock_misuse(TI_EBUSY, "destroying a barrier that threads wait in", barrier, 0, TI_CALLER, 0);
    }
    ti_lock_unname(&barrier->record);
    return TI_OK;
}

static void wait_for_next_generation(ti_barrier *barrier, uint32_t generation)
{
    struct ti_waiting waiting = {TI_WAIT_BARRIER, barrier, barrier->record};
    /* Acquire: pairs with the leader's exchange, which is behind every arrival of this generation. */
    while (generation_of(atomic_load_explicit(&barrier->state, memory_order_acquire)) == generation) {
        ti_sleep_on(generation_futex(barrier), generation, TI_FOREVER, waiting);
    }
}

bool ti_barrier_wait(ti_barrier *barrier)
{
    uint64_t state = ti_get(barrier->state);
    uint64_t next;
    bool leader;
    do {
        leader = (uint32_t)state + 1 >= barrier->count;
        next = leader ? (uint64_t)(generation_of(state) + 1) << 32 : state + 1;
        /* Acquire and release: each arrival publishes what its thread did and takes over what earlier ones did. */
    } while (!atomic_compare_exchange_weak_explicit(&barrier->state, &state, next, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (!leader) {
        wait_for_next_generation(barrier, generation_of(state));
    } else if ((uint32_t)state != 0) {
        ti_futex_wake_all(generation_futex(barrier));
    }
    return leader;
}
