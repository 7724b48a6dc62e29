/* The mutex: a futex word, its owner, and poison. */
#include "mutex.h"

ti_status ti_mutex_init(ti_mutex *mutex, const char *name)
{
    *mutex = (ti_mutex)TI_MUTEX_INIT;
    return ti_lock_name(&mutex->record, mutex, TI_LOCK_MUTEX, name);
}

ti_status ti_mutex_destroy(ti_mutex *mutex)
{
    if (ti_get(mutex->state) != TI_MUTEX_FREE) {
        return ti_lock_misuse(TI_EBUSY, "destroying a held mutex", mutex, ti_get(mutex->owner), TI_CALLER,
                              ti_get(mutex->site));
    }
    if (mutex->record != NULL) {
        ti_lock_unregister(mutex->record);
        mutex->record = NULL;
    }
    return TI_OK;
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
    struct ti_waiting waiting = {kind, mutex, mutex->record};
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

static inline ti_status taken(ti_mutex *mutex, uint64_t id, const void *caller)
{
    ti_mutex_own(mutex, id, caller);
    mutex->unwinding = ti_is_unwinding();
    return TI_UNLIKELY(ti_get(mutex->poisoned)) ? TI_EPOISONED : TI_OK;
}

static __attribute__((noinline, cold)) ti_status lock_slowly(ti_mutex *mutex, ti_deadline deadline, const void *caller)
{
    uint64_t id = ti_current_id();
    /* Only this thread stores its own id, so seeing it is proof. */
    if (ti_get(mutex->owner) == id) {
        return ti_lock_misuse(TI_EDEADLK, "mutex locked again by its holder", mutex, id, caller, ti_get(mutex->site));
    }
    return ti_mutex_take_slowly(mutex, deadline, TI_WAIT_MUTEX) ? taken(mutex, id, caller) : TI_ETIMEDOUT;
}

ti_status ti_lock(ti_mutex *mutex)
{
    if (TI_LIKELY(ti_mutex_try_take(mutex))) {
        return taken(mutex, ti_current_id(), TI_CALLER);
    }
    return lock_slowly(mutex, TI_FOREVER, TI_CALLER);
}

ti_status ti_try_lock(ti_mutex *mutex)
{
    return ti_mutex_try_take(mutex) ? taken(mutex, ti_current_id(), TI_CALLER) : TI_EBUSY;
}

ti_status ti_lock_until(ti_mutex *mutex, ti_deadline deadline)
{
    if (TI_LIKELY(ti_mutex_try_take(mutex))) {
        return taken(mutex, ti_current_id(), TI_CALLER);
    }
    return lock_slowly(mutex, deadline, TI_CALLER);
}

static __attribute__((noinline, cold)) ti_status unlock_misuse(ti_mutex *mutex, uint64_t owner, const void *caller)
{
    bool free = owner == 0;
    return ti_lock_misuse(TI_EPERM, free ? "unlocking an unlocked mutex" : "unlocking someone else's mutex", mutex,
                          owner, caller, free ? 0 : ti_get(mutex->site));
}

ti_status ti_unlock(ti_mutex *mutex)
{
    uint64_t owner = ti_get(mutex->owner);
    if (TI_UNLIKELY(owner != ti_current_id())) {
        return unlock_misuse(mutex, owner, TI_CALLER);
    }
    /* A panic that was under way when the lock was taken says nothing about what the lock protects. */
    if (TI_UNLIKELY(ti_is_unwinding()) && !mutex->unwinding) {
        ti_set(mutex->poisoned, 1);
        ti_lock_poison(mutex->record, 1);
    }
    ti_mutex_disown(mutex);
    ti_mutex_give(mutex);
    return TI_OK;
}

bool ti_mutex_is_poisoned(const ti_mutex *mutex)
{
    return ti_get(mutex->poisoned) != 0;
}

void ti_mutex_clear_poison(ti_mutex *mutex)
{
    ti_set(mutex->poisoned, 0);
    ti_lock_poison(mutex->record, 0);
}

uint64_t ti_mutex_owner(const ti_mutex *mutex)
{
    return ti_get(mutex->owner);
}
