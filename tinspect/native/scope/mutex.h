/* The mutex's word, for the locks built on it (condition variable, reentrant lock). */
#ifndef TI_MUTEX_H
#define TI_MUTEX_H

#include "holder.h"

enum {
    TI_MUTEX_FREE = 0,
    TI_MUTEX_HELD = 1,
    TI_MUTEX_AWAITED = 2, /* held, and someone may sleep */
};

/* Takes the word, sleeping if it must; false when the deadline passed. Acquire. */
bool ti_mutex_take_slowly(ti_mutex *mutex, ti_deadline deadline, enum ti_wait_kind kind);

static inline bool ti_mutex_try_take(ti_mutex *mutex)
{
    uint32_t expected = TI_MUTEX_FREE;
    /* Acquire: pairs with the release in ti_mutex_give. */
    return atomic_compare_exchange_strong_explicit(&mutex->state, &expected, TI_MUTEX_HELD, memory_order_acquire,
                                                   memory_order_relaxed);
}

void ti_mutex_wake(ti_mutex *mutex);

static inline void ti_mutex_give(ti_mutex *mutex)
{
    /* After the exchange the mutex may be gone (its next holder may free it): only its address is used then. */
    if (TI_UNLIKELY(atomic_exchange_explicit(&mutex->state, TI_MUTEX_FREE, memory_order_release) == TI_MUTEX_AWAITED)) {
        ti_mutex_wake(mutex);
    }
}

#endif
