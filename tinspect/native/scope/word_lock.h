/* The runtime's own lock: one futex word, 0 free, 1 held, 2 held with sleepers. It lives in memory that is never
 * unmapped (arena slots, statics), holds no owner, and is held for a few instructions only. Not for users: they have
 * ti_mutex. */
#ifndef TI_WORD_LOCK_H
#define TI_WORD_LOCK_H

#include "futex.h"

static inline void ti_word_lock(_Atomic uint32_t *word)
{
    uint32_t seen = 0;
    /* acquire: what the previous holder wrote is visible. */
    if (atomic_compare_exchange_strong_explicit(word, &seen, 1, memory_order_acquire, memory_order_relaxed)) {
        return;
    }
    while (atomic_exchange_explicit(word, 2, memory_order_acquire) != 0) {
        ti_futex_wait(word, 2, TI_FOREVER);
    }
}

static inline void ti_word_unlock(_Atomic uint32_t *word)
{
    /* release: pairs with the acquire above. Only 2 means that somebody may sleep. */
    if (atomic_exchange_explicit(word, 0, memory_order_release) == 2) {
        ti_futex_wake(word, 1);
    }
}

#endif
