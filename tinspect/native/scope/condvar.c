/* The condition variable: a futex word that changes with every notification. */
#include "mutex.h"

ti_status ti_condvar_init(ti_condvar *condvar, const char *name)
{
    *condvar = (ti_condvar)TI_CONDVAR_INIT;
    return ti_lock_name(&condvar->record, condvar, TI_LOCK_CONDVAR, name);
}

ti_status ti_condvar_destroy(ti_condvar *condvar)
{
    ti_lock_unname(&condvar->record);
    return TI_OK;
}

/* One sleep. The sequence is read while the mutex is still held, so a notification by anyone who changed the condition
 * under the mutex comes after that read, changes the word, and keeps the futex from sleeping. Relaxed is enough: the
 * mutex orders the data. (A sleeper that misses exactly 2^32 notifications between the two steps would sleep on.) */
static ti_status wait_once(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline, bool *timed_out,
                           const void *caller)
{
    ti_holder *holder = &mutex->holder;
    if (!ti_is_mine(holder)) {
        return ti_holder_misuse(holder, TI_EPERM, "waiting with a mutex that the caller does not hold", mutex, caller);
    }
    uint32_t sequence = ti_get(condvar->sequence);
    bool was_unwinding = ti_suspend_hold(holder);
    ti_mutex_give(mutex);

    struct ti_waiting waiting = {TI_WAIT_CONDVAR, condvar, condvar->record};
    *timed_out = !ti_sleep_on(&condvar->sequence, sequence, deadline, waiting);

    if (!ti_mutex_try_take(mutex)) {
        ti_mutex_take_slowly(mutex, TI_FOREVER, TI_WAIT_MUTEX);
    }
    return ti_resume_hold(holder, was_unwinding, caller);
}

static ti_status wait_while(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline, ti_condition condition,
                            void *context, bool *timed_out, const void *caller)
{
    *timed_out = false;
    while (condition(context)) {
        if (*timed_out) {
            return TI_OK;
        }
        ti_status status = wait_once(condvar, mutex, deadline, timed_out, caller);
        if (status != TI_OK) {
            return status;
        }
    }
    *timed_out = false;
    return TI_OK;
}

ti_status ti_condvar_wait(ti_condvar *condvar, ti_mutex *mutex)
{
    bool timed_out;
    return wait_once(condvar, mutex, TI_FOREVER, &timed_out, TI_CALLER);
}

ti_status ti_condvar_wait_until(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline, bool *timed_out)
{
    bool ignored = false;
    return wait_once(condvar, mutex, deadline, timed_out != NULL ? timed_out : &ignored, TI_CALLER);
}

ti_status ti_condvar_wait_while(ti_condvar *condvar, ti_mutex *mutex, ti_condition condition, void *context)
{
    bool timed_out;
    return wait_while(condvar, mutex, TI_FOREVER, condition, context, &timed_out, TI_CALLER);
}

ti_status ti_condvar_wait_while_until(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline,
                                      ti_condition condition, void *context, bool *timed_out)
{
    bool ignored;
    return wait_while(condvar, mutex, deadline, condition, context, timed_out != NULL ? timed_out : &ignored,
                      TI_CALLER);
}

void ti_condvar_notify_one(ti_condvar *condvar)
{
    atomic_fetch_add_explicit(&condvar->sequence, 1, memory_order_relaxed);
    ti_futex_wake(&condvar->sequence, 1);
}

void ti_condvar_notify_all(ti_condvar *condvar)
{
    atomic_fetch_add_explicit(&condvar->sequence, 1, memory_order_relaxed);
    ti_futex_wake_all(&condvar->sequence);
}
