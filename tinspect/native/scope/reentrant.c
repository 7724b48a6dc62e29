/* The reentrant lock: a mutex and how often its owner took it. */
#include "mutex.h"

ti_status ti_reentrant_init(ti_reentrant *lock, const char *name)
{
    *lock = (ti_reentrant)TI_REENTRANT_INIT;
    return ti_holder_name(&lock->mutex.holder, lock, TI_LOCK_REENTRANT, name);
}

ti_status ti_reentrant_destroy(ti_reentrant *lock)
{
    if (ti_get(lock->mutex.state) != TI_MUTEX_FREE) {
        return ti_holder_misuse(&lock->mutex.holder, TI_EBUSY, "destroying a held reentrant lock", lock, TI_CALLER);
    }
    ti_holder_unname(&lock->mutex.holder);
    return TI_OK;
}

static ti_status again(ti_reentrant *lock)
{
    if (lock->depth == UINT32_MAX) {
        return TI_EOVERFLOW;
    }
    lock->depth++;
    return TI_OK;
}

static inline ti_status first(ti_reentrant *lock, const void *caller)
{
    lock->depth = 1;
    ti_hold(&lock->mutex.holder, caller); /* never poisoned: see ti_reentrant_unlock */
    return TI_OK;
}

static __attribute__((noinline, cold)) ti_status lock_slowly(ti_reentrant *lock, ti_deadline deadline,
                                                             const void *caller)
{
    return ti_mutex_take_slowly(&lock->mutex, deadline, TI_WAIT_REENTRANT) ? first(lock, caller) : TI_ETIMEDOUT;
}

static inline ti_status lock_until(ti_reentrant *lock, ti_deadline deadline, const void *caller)
{
    if (ti_is_mine(&lock->mutex.holder)) {
        return again(lock);
    }
    if (TI_LIKELY(ti_mutex_try_take(&lock->mutex))) {
        return first(lock, caller);
    }
    return lock_slowly(lock, deadline, caller);
}

ti_status ti_reentrant_lock(ti_reentrant *lock)
{
    return lock_until(lock, TI_FOREVER, TI_CALLER);
}

ti_status ti_reentrant_lock_until(ti_reentrant *lock, ti_deadline deadline)
{
    return lock_until(lock, deadline, TI_CALLER);
}

ti_status ti_reentrant_try_lock(ti_reentrant *lock)
{
    if (ti_is_mine(&lock->mutex.holder)) {
        return again(lock);
    }
    return ti_mutex_try_take(&lock->mutex) ? first(lock, TI_CALLER) : TI_EBUSY;
}

static __attribute__((noinline, cold)) ti_status unlock_misuse(ti_reentrant *lock, const void *caller)
{
    bool free = ti_get(lock->mutex.holder.owner) == 0;
    return ti_holder_misuse(&lock->mutex.holder, TI_EPERM,
                            free ? "unlocking an unlocked reentrant lock" : "unlocking someone else's reentrant lock",
                            lock, caller);
}

ti_status ti_reentrant_unlock(ti_reentrant *lock)
{
    if (TI_UNLIKELY(!ti_is_mine(&lock->mutex.holder))) {
        return unlock_misuse(lock, TI_CALLER);
    }
    if (--lock->depth > 0) {
        return TI_OK;
    }
    if (TI_UNLIKELY(ti_is_out_of_the_ordinary(&lock->mutex.holder))) {
        ti_suspend_hold(&lock->mutex.holder); /* never poisons: its owner shares what the lock protects */
    } else {
        ti_set(lock->mutex.holder.owner, 0);
    }
    ti_mutex_give(&lock->mutex);
    return TI_OK;
}
