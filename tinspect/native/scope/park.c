/* Parking: one token a thread, in the thread's own record. */
#include "futex.h"
#include "internal.h"
#include "tinspect/sync.h"

/* The token and the slot's generation share one 64-bit word, so that giving a token and checking that the slot still
 * belongs to the thread are one step. The kernel compares 32 bits only: the half with the token. */
static _Atomic uint32_t *park_futex(struct ti_thread_record *record)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (_Atomic uint32_t *)&record->parker;
#else
    return (_Atomic uint32_t *)&record->parker + 1;
#endif
}

static uint64_t with_state(uint64_t parker, uint32_t state)
{
    return (parker & ~(uint64_t)UINT32_MAX) | state;
}

/* Sleeps until the token comes or the deadline passes. Others only ever change PARKED to NOTIFIED, so whatever else the
 * word says the wake-up was spurious. The acquire exchange pairs with ti_unpark's release. */
static ti_status wait_for_token(struct ti_thread_record *self, uint64_t parked, ti_deadline deadline)
{
    uint64_t expected;
    do {
        bool awake = ti_futex_wait(park_futex(self), TI_PARK_PARKED, deadline);
        if (!awake) {
            /* A token that came together with the timeout is taken, not left for the next park. */
            uint64_t last =
                atomic_exchange_explicit(&self->parker, with_state(parked, TI_PARK_EMPTY), memory_order_acquire);
            return (uint32_t)last == TI_PARK_NOTIFIED ? TI_OK : TI_ETIMEDOUT;
        }
        expected = with_state(parked, TI_PARK_NOTIFIED);
    } while (!atomic_compare_exchange_strong_explicit(&self->parker, &expected, with_state(parked, TI_PARK_EMPTY),
                                                      memory_order_acquire, memory_order_relaxed));
    return TI_OK;
}

ti_status ti_park_until(ti_deadline deadline)
{
    struct ti_thread_record *self = ti_current_record();
    /* NOTIFIED becomes EMPTY, EMPTY becomes PARKED: only the thread itself subtracts, so it never goes below. */
    uint64_t before = atomic_fetch_sub_explicit(&self->parker, 1, memory_order_acquire);
    if ((uint32_t)before == TI_PARK_NOTIFIED) {
        return TI_OK;
    }
    uint32_t state = ti_wait_begin(self, TI_WAIT_PARK, NULL);
    ti_status status = wait_for_token(self, before, deadline);
    ti_wait_end(self, state);
    return status;
}

void ti_park(void)
{
    ti_park_until(TI_FOREVER);
}

ti_status ti_unpark(ti_thread thread)
{
    struct ti_thread_record *record = ti_thread_find(thread);
    if (record == NULL) {
        return TI_ESTALE;
    }
    /* Written even over an earlier token: the release makes what this thread did visible to the one that takes it. */
    uint64_t parker = ti_get(record->parker);
    do {
        if ((uint32_t)(parker >> 32) != thread.generation) {
            return TI_ESTALE;
        }
    } while (!atomic_compare_exchange_weak_explicit(&record->parker, &parker, with_state(parker, TI_PARK_NOTIFIED),
                                                    memory_order_release, memory_order_relaxed));
    if ((uint32_t)parker == TI_PARK_PARKED) {
        /* Records are never unmapped: at worst this wakes the slot's next thread, which looks again. */
        ti_futex_wake(park_futex(record), 1);
    }
    return TI_OK;
}
