/* The mutex: a futex word, its owner, and poison. */
#include "mutex.h"

ti_status ti_mutex_init(ti_mutex *mutex, const char *name)
{
    *mutex = (ti_mutex)TI_MUTEX_INIT;
    return ti_holder_name(&mutex->holder, mutex, TI_LOCK_MUTEX, name);
}

ti_status ti_mutex_destroy(ti_mutex *mutex)
{
    if (ti_get(mutex->state) != TI_MUTEX_FREE) {
        return ti_holder_misuse(&mutex->holder, TI_EBUSY, "destroying a held mutex", mutex, TI_CALLER);
    }
    ti_holder_unname(&mutex->holder);
    return TI_OK;
}

__attribute__((noinline, cold)) void ti_mutex_wake(ti_mutex *mutex)
{
    ti_futex_wake(&mutex->state, 1);
}

/* Looks for a while whether the holder leaves; the last state seen. Stops early when someone sleeps already: spinning
 * past a sleeper would only make it wait longer. */
static uint32_t spin(ti_mutex *mutex)
{
    uint32_t state = ti_get(mutex->state);
    for (int i = 0; i < TI_SPINS && state == TI_MUTEX_HELD; i++) {
        ti_spin_pause();
        state = ti_get(mutex->state);
    }
    return state;
}

bool ti_mutex_take_slowly(ti_mutex *mutex, ti_deadline deadline, enum ti_wait_kind kind)
{
    if (spin(mutex) == TI_MUTEX_FREE && ti_mutex_try_take(mutex)) {
        return true;
    }
    struct ti_waiting waiting = {kind, mutex, mutex->holder.record};
    /* Having slept once, it takes the lock as AWAITED: it cannot know whether others still sleep, and one wake-up too
     * many is harmless where one too few is not. */
    while (atomic_exchange_explicit(&mutex->state, TI_MUTEX_AWAITED, memory_order_acquire) != TI_MUTEX_FREE) {
        if (!ti_sleep_on(&mutex->state, TI_MUTEX_AWAITED, deadline, waiting)) {
            return false;
        }
        spin(mutex);
    }
    return true;
}

static __attribute__((noinline, cold)) ti_status lock_slowly(ti_mutex *mutex, ti_deadline deadline, const void *caller)
{
    if (ti_is_mine(&mutex->holder)) {
        return ti_holder_misuse(&mutex->holder, TI_EDEADLK, "mutex locked again by its holder", mutex, caller);
    }
    return ti_mutex_take_slowly(mutex, deadline, TI_WAIT_MUTEX) ? ti_hold(&mutex->holder, caller) : TI_ETIMEDOUT;
}

ti_status ti_lock(ti_mutex *mutex)
{
    if (TI_LIKELY(ti_mutex_try_take(mutex))) {
        return ti_hold(&mutex->holder, TI_CALLER);
    }
    return lock_slowly(mutex, TI_FOREVER, TI_CALLER);
}

ti_status ti_try_lock(ti_mutex *mutex)
{
    return ti_mutex_try_take(mutex) ? ti_hold(&mutex->holder, TI_CALLER) : TI_EBUSY;
}

ti_status ti_lock_until(ti_mutex *mutex, ti_deadline deadline)
{
    if (TI_LIKELY(ti_mutex_try_take(mutex))) {
        return ti_hold(&mutex->holder, TI_CALLER);
    }
    return lock_slowly(mutex, deadline, TI_CALLER);
}

static __attribute__((noinline, cold)) ti_status unlock_misuse(ti_mutex *mutex, const void *caller)
{
    bool free = ti_get(mutex->holder.owner) == 0;
    return ti_holder_misuse(&mutex->holder, TI_EPERM,
                            free ? "unlocking an unlocked mutex" : "unlocking someone else's mutex", mutex, caller);
}

static __attribute__((noinline, cold)) ti_status unlock_slowly(ti_mutex *mutex)
{
    ti_let_go(&mutex->holder);
    ti_mutex_give(mutex);
    return TI_OK;
}

static __attribute__((noinline, cold)) ti_status wake(ti_mutex *mutex)
{
    ti_mutex_wake(mutex);
    return TI_OK;
}

/* Every rare case is a tail call, so that the common one needs no stack frame. */
ti_status ti_unlock(ti_mutex *mutex)
{
    if (TI_UNLIKELY(!ti_is_mine(&mutex->holder))) {
        return unlock_misuse(mutex, TI_CALLER);
    }
    if (TI_UNLIKELY(ti_is_out_of_the_ordinary(&mutex->holder))) {
        return unlock_slowly(mutex);
    }
    ti_set(mutex->holder.owner, 0);
    if (TI_UNLIKELY(atomic_exchange_explicit(&mutex->state, TI_MUTEX_FREE, memory_order_release) == TI_MUTEX_AWAITED)) {
        return wake(mutex);
    }
    return TI_OK;
}

bool ti_mutex_is_poisoned(const ti_mutex *mutex)
{
    return ti_is_poisoned(&mutex->holder);
}

void ti_mutex_clear_poison(ti_mutex *mutex)
{
    ti_forget_poison(&mutex->holder);
}

uint64_t ti_mutex_owner(const ti_mutex *mutex)
{
    return ti_get(mutex->holder.owner);
}
