/* Joining and detaching. One CAS on the thread's fate decides who may; everything after it is alone with the outcome.
 */
#include "join.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "catching.h"
#include "children.h"
#include "current.h"
#include "fate.h"

#if defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
/* ThreadSanitizer of gcc 12 does not know pthread_clockjoin_np, and musl has only the realtime one. */
static int join_before(pthread_t thread, ti_deadline deadline)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    uint64_t now = ti_now();
    uint64_t until = (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec + (deadline > now ? deadline - now : 0);
    at.tv_sec = (time_t)(until / 1000000000u);
    at.tv_nsec = (long)(until % 1000000000u);
    return pthread_timedjoin_np(thread, NULL, &at);
}
#else
static int join_before(pthread_t thread, ti_deadline deadline)
{
    struct timespec at = {.tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &at);
}
#endif

int ti_join_system(struct ti_thread_slot *thread, ti_deadline deadline)
{
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int error = deadline == TI_FOREVER ? pthread_join(ti_get(thread->pthread), NULL)
                                       : join_before(ti_get(thread->pthread), deadline);
    pthread_setcancelstate(cancel, NULL);
    return error;
}

/* Hands the outcome over. What nobody wants ends here. */
static ti_status take_outcome(struct ti_thread_slot *thread, void **result, ti_panics **panics)
{
    switch (thread->outcome) {
    case TI_OUTCOME_VALUE:
        if (result != NULL) {
            *result = thread->result;
        } else {
            ti_drop_value(thread->drop_result, thread->result, "a thread's result");
        }
        return TI_OK;
    case TI_OUTCOME_PANIC:
        if (panics != NULL) {
            *panics = thread->panics;
        } else {
            ti_panics_free(thread->panics);
        }
        return TI_EPANIC;
    default:
        return TI_ETERMINATED;
    }
}

static void give_back(struct ti_thread_slot *thread, ti_panics *unclaimed)
{
    if (thread->scope != NULL) {
        ti_scope_child_joined(thread, unclaimed);
    } else {
        ti_thread_slot_release(thread);
    }
}

/* The claim is given up: the thread is as joinable as before. */
static ti_status give_up(struct ti_thread_slot *thread, int error)
{
    struct ti_scope_slot *scope = thread->scope;
    ti_fate_clear(thread, TI_FATE_CLAIMED);
    if (scope != NULL) {
        ti_scope_child_released(scope);
    }
    return error == ETIMEDOUT || error == EBUSY ? TI_ETIMEDOUT : TI_EDEADLK;
}

/* Why the fate could not be changed. */
static ti_status refusal(ti_thread handle, uint32_t seen)
{
    bool joining = (seen & TI_FATE_CLAIMED) != 0 && (seen & TI_FATE_FORGOTTEN) == 0;
    return joining && ti_thread_find(handle) != NULL ? TI_EBUSY : TI_ESTALE;
}

static ti_status claim(ti_thread handle, struct ti_thread_slot **claimed, uint32_t *seen)
{
    struct ti_thread_slot *thread = ti_thread_slot_of(ti_thread_find(handle));
    if (thread == NULL) {
        return ti_misuse(TI_ESTALE, "joining a thread that was joined or detached", NULL, 0);
    }
    if (&thread->record == ti_current_record()) {
        return ti_misuse(TI_EDEADLK, "a thread joining itself", thread, handle.id);
    }
    if (!ti_fate_set(thread, handle.generation, TI_FATE_CLAIMED, TI_FATE_CLAIMED | TI_FATE_FORGOTTEN, seen)) {
        return ti_misuse(refusal(handle, *seen), "joining a thread twice", thread, 0);
    }
    *claimed = thread;
    return TI_OK;
}

ti_status ti_join_until(ti_thread handle, ti_deadline deadline, void **result, ti_panics **panics)
{
    struct ti_thread_slot *thread = NULL;
    uint32_t seen = 0;
    ti_status status = claim(handle, &thread, &seen);
    if (status != TI_OK) {
        return status;
    }
    if ((seen & TI_FATE_GONE) != 0) {
        give_back(thread, NULL);
        return TI_EGONE;
    }
    if ((seen & TI_FATE_REAPED) == 0) {
        struct ti_thread_record *self = ti_current_record();
        uint32_t before = ti_wait_begin(self, TI_WAIT_JOIN, thread);
        int error = ti_join_system(thread, deadline);
        ti_wait_end(self, before);
        if (error != 0) {
            return give_up(thread, error);
        }
    }
    status = take_outcome(thread, result, panics);
    give_back(thread, NULL);
    return status;
}

ti_status ti_join(ti_thread thread, void **result, ti_panics **panics)
{
    return ti_join_until(thread, TI_FOREVER, result, panics);
}

/* The thread has ended already: what it left is ours to end. */
static ti_status detach_ended(ti_thread handle, struct ti_thread_slot *thread)
{
    uint32_t seen;
    if (!ti_fate_set(thread, handle.generation, TI_FATE_CLAIMED | TI_FATE_FORGOTTEN,
                     TI_FATE_CLAIMED | TI_FATE_FORGOTTEN, &seen)) {
        return refusal(handle, seen);
    }
    if (thread->scope != NULL) {
        ti_panics *panics = NULL;
        if ((seen & (TI_FATE_REAPED | TI_FATE_GONE)) == 0) {
            ti_join_system(thread, TI_FOREVER);
        }
        take_outcome(thread, NULL, &panics);
        give_back(thread, panics); /* its panic stays the scope's */
        return TI_OK;
    }
    if ((seen & TI_FATE_GONE) != 0) {
        give_back(thread, NULL); /* to this process its pthread_t names nothing, and its result was never handed over */
        return TI_OK;
    }
    take_outcome(thread, NULL, NULL);
    pthread_detach(ti_get(thread->pthread));
    ti_limbo_push(thread);
    return TI_OK;
}

ti_status ti_detach(ti_thread handle)
{
    struct ti_thread_slot *thread = ti_thread_slot_of(ti_thread_find(handle));
    if (thread == NULL) {
        return TI_ESTALE;
    }
    /* Read before the bit is set: after it a free thread that ends takes its slot along. The CAS proves them this
     * thread's; the pthread_t is there once its creator is done. */
    ti_fate_await(thread, handle.generation);
    pthread_t pthread = ti_get(thread->pthread);
    bool is_free = (ti_get(thread->record.flags) & TI_THREAD_SCOPED) == 0;
    /* A scoped one that a fork took away stays its scope's to report. */
    uint32_t gone = is_free ? TI_FATE_GONE : 0;
    uint32_t seen;
    if (ti_fate_set(thread, handle.generation, TI_FATE_FORGOTTEN,
                    TI_FATE_ENDED | TI_FATE_CLAIMED | TI_FATE_FORGOTTEN | gone, &seen)) {
        if (is_free) {
            pthread_detach(pthread);
        }
        return TI_OK;
    }
    bool ended = (seen & (TI_FATE_CLAIMED | TI_FATE_FORGOTTEN)) == 0 && ti_thread_find(handle) != NULL;
    return ended ? detach_ended(handle, thread) : refusal(handle, seen);
}

bool ti_is_finished(ti_thread handle)
{
    struct ti_thread_slot *thread = ti_thread_slot_of(ti_thread_find(handle));
    if (thread == NULL) {
        return true;
    }
    uint64_t fate = atomic_load_explicit(&thread->fate, memory_order_acquire);
    return fate >> 32 != handle.generation || (fate & (TI_FATE_ENDED | TI_FATE_GONE)) != 0;
}
