/* Once: an initialiser that runs one time, whoever comes first. */
#include "once.h"

ti_status ti_once_init(ti_once *once, const char *name)
{
    *once = (ti_once)TI_ONCE_INIT;
    return ti_lock_name(&once->record, once, TI_LOCK_ONCE, name);
}

static uint32_t phase(uint32_t state)
{
    return state & ~(uint32_t)TI_ONCE_AWAITED;
}

ti_status ti_once_destroy(ti_once *once)
{
    if (phase(ti_get(once->state)) == TI_ONCE_RUNNING) {
        return ti_lock_misuse(TI_EBUSY, "destroying a once whose initialiser runs", once, ti_get(once->owner),
                              TI_CALLER, 0);
    }
    ti_lock_unname(&once->record);
    return TI_OK;
}

static void set_owner(ti_once *once, uint64_t id)
{
    ti_set(once->owner, id);
    if (once->record != NULL) {
        ti_set(once->record->owner, id);
    }
}

/* An initialiser under way; `outcome` is the state it leaves behind. Its end runs as a cleanup, so that a panic (or
 * pthread_exit) in the initialiser ends it too, with the outcome that was set before. */
struct attempt {
    ti_once *once;
    enum ti_once_state outcome;
};

static void attempt_end(struct attempt *attempt)
{
    ti_once *once = attempt->once;
    set_owner(once, 0);
    if (once->record != NULL) {
        ti_set(once->record->poisoned, attempt->outcome == TI_ONCE_POISONED);
    }
    /* Release: what the initialiser wrote is seen by whoever acquires the new state. */
    uint32_t before = atomic_exchange_explicit(&once->state, attempt->outcome, memory_order_release);
    if ((before & TI_ONCE_AWAITED) != 0) {
        ti_futex_wake_all(&once->state);
    }
}

static ti_status attempt_run(ti_once *once, bool poisoned, struct ti_once_task task)
{
    struct attempt attempt __attribute__((cleanup(attempt_end))) = {once, task.after_panic};
    set_owner(once, ti_current_id());
    ti_status status = task.run(task.context, poisoned);
    attempt.outcome = status == TI_OK ? TI_ONCE_DONE : TI_ONCE_NEW;
    return status;
}

/* Sleeps until an attempt is over, or the state is no longer `state`. The mark is set before: who starts an attempt
 * keeps it, and who ends one wakes everybody if it is there. TI_ERECURSION when the runner is the caller. */
static ti_status wait_for_change(ti_once *once, uint32_t state, const void *caller)
{
    uint64_t id = ti_current_id();
    if (phase(state) == TI_ONCE_RUNNING && ti_get(once->owner) == id) {
        return ti_lock_misuse(TI_ERECURSION, "once initialiser that needs its own result", once, id, caller, 0);
    }
    uint32_t awaited = state | TI_ONCE_AWAITED;
    if (state == awaited || atomic_compare_exchange_strong_explicit(&once->state, &state, awaited, memory_order_relaxed,
                                                                    memory_order_relaxed)) {
        struct ti_waiting waiting = {TI_WAIT_ONCE, once, once->record};
        ti_sleep_on(&once->state, awaited, TI_FOREVER, waiting);
    }
    return TI_OK;
}

ti_status ti_once_run(ti_once *once, struct ti_once_task task, const void *caller)
{
    for (;;) {
        /* Acquire: pairs with the release in attempt_end. */
        uint32_t state = atomic_load_explicit(&once->state, memory_order_acquire);
        if (state == TI_ONCE_DONE) {
            return TI_OK;
        }
        if (phase(state) == TI_ONCE_RUNNING) {
            ti_status status = wait_for_change(once, state, caller);
            if (status != TI_OK) {
                return status;
            }
            continue;
        }
        bool poisoned = phase(state) == TI_ONCE_POISONED;
        if (poisoned && !task.despite_poison) {
            return TI_EPOISONED;
        }
        uint32_t running = TI_ONCE_RUNNING | (state & TI_ONCE_AWAITED);
        if (atomic_compare_exchange_strong_explicit(&once->state, &state, running, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return attempt_run(once, poisoned, task);
        }
    }
}

struct plain_call {
    void (*initialise)(void *context);
    void *context;
};

static ti_status run_plain(void *context, bool poisoned)
{
    (void)poisoned;
    struct plain_call *call = context;
    call->initialise(call->context);
    return TI_OK;
}

ti_status ti_once_call(ti_once *once, void (*initialise)(void *context), void *context)
{
    if (TI_LIKELY(ti_once_is_done(once))) {
        return TI_OK;
    }
    struct plain_call call = {initialise, context};
    struct ti_once_task task = {run_plain, &call, TI_ONCE_POISONED, false};
    return ti_once_run(once, task, TI_CALLER);
}

struct forced_call {
    void (*initialise)(void *context, bool poisoned);
    void *context;
};

static ti_status run_forced(void *context, bool poisoned)
{
    struct forced_call *call = context;
    call->initialise(call->context, poisoned);
    return TI_OK;
}

ti_status ti_once_call_force(ti_once *once, void (*initialise)(void *context, bool poisoned), void *context)
{
    if (TI_LIKELY(ti_once_is_done(once))) {
        return TI_OK;
    }
    struct forced_call call = {initialise, context};
    struct ti_once_task task = {run_forced, &call, TI_ONCE_POISONED, true};
    return ti_once_run(once, task, TI_CALLER);
}

static ti_status wait_until_over(ti_once *once, bool despite_poison, const void *caller)
{
    for (;;) {
        uint32_t state = atomic_load_explicit(&once->state, memory_order_acquire);
        if (state == TI_ONCE_DONE) {
            return TI_OK;
        }
        if (phase(state) == TI_ONCE_POISONED && !despite_poison) {
            return TI_EPOISONED;
        }
        ti_status status = wait_for_change(once, state, caller);
        if (status != TI_OK) {
            return status;
        }
    }
}

ti_status ti_once_wait(ti_once *once)
{
    return wait_until_over(once, false, TI_CALLER);
}

ti_status ti_once_wait_force(ti_once *once)
{
    return wait_until_over(once, true, TI_CALLER);
}

bool ti_once_is_done(const ti_once *once)
{
    return atomic_load_explicit(&once->state, memory_order_acquire) == TI_ONCE_DONE;
}
