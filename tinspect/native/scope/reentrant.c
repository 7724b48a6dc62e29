/* The reentrant lock: a mutex and how often its owner took it. */
#include "mutex.h"

ti_status ti_reentrant_init(ti_reentrant *lock, const char *name)
{
    *lock = (ti_reentrant)TI_REENTRANT_INIT;
    return ti_lock_name(&lock->mutex.record, lock, TI_LOCK_REENTRANT, name);
}

ti_status ti_reentrant_destroy(ti_reentrant *lock)
{
    if (ti_get(lock->mutex.state) != TI_MUTEX_FREE) {
        return ti_lock_misuse(TI_EBUSY, "destroying a held reentrant lock", lock, ti_get(lock->mutex.owner), TI_CALLER,
                              ti_get(lock->mutex.site));
    }
    if (lock->mutex.record != NULL) {
        ti_lock_unregister(lock->mutex.record);
        lock->mutex.record = NULL;
    }
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

static ti_status first(ti_reentrant *lock, uint64_t id, const void *caller)
{
    ti_mutex_own(&lock->mutex, id, caller);
    lock->depth = 1;
    return TI_OK;
}

/* Seeing one's own id in `owner` is proof, relaxed or not: no other thread ever stores it. */
static bool is_mine(ti_reentrant *lock, uint64_t id)
{
    return ti_get(lock->mutex.owner) == id;
}

static inline ti_status lock_until(ti_reentrant *lock, ti_deadline deadline, const void *caller)
{
    uint64_t id = ti_current_id();
    if (is_mine(lock, id)) {
        return again(lock);
    }
    if (TI_UNLIKELY(!ti_mutex_try_take(&lock->mutex)) &&
        !ti_mutex_take_slowly(&lock->mutex, deadline, TI_WAIT_REENTRANT)) {
        return TI_ETIMEDOUT;
    }
    return first(lock, id, caller);
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
    uint64_t id = ti_current_id();
    if (is_mine(lock, id)) {
        return again(lock);
    }
    return ti_mutex_try_take(&lock->mutex) ? first(lock, id, TI_CALLER) : TI_EBUSY;
}

ti_status ti_reentrant_unlock(ti_reentrant *lock)
{
    uint64_t owner = ti_get(lock->mutex.owner);
    if (owner != ti_current_id()) {
        return ti_lock_misuse(
            TI_EPERM, owner == 0 ? "unlocking an unlocked reentrant lock" : "unlocking someone else's reentrant lock",
            lock, owner, TI_CALLER, owner == 0 ? 0 : ti_get(lock->mutex.site));
    }
    if (--lock->depth == 0) {
        ti_mutex_disown(&lock->mutex);
        ti_mutex_give(&lock->mutex);
    }
    return TI_OK;
}
