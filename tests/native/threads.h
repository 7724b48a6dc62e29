/* Threads for the tests of parking, locks and locals. */
#ifndef TI_TEST_THREADS_H
#define TI_TEST_THREADS_H

#include <sched.h>

#include "bodies.h"
#include "internal.h"
#include "tinspect/sync.h"
#include "tinspect/thread.h"

enum {
    MILLISECOND = 1000000,
};

static inline ti_thread start(ti_thread_function function, void *context)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, function, context, &thread), TI_OK);
    return thread;
}

static inline void finish(ti_thread thread)
{
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

/* Joins a thread that is to end by a panic. */
static inline void finish_panicked(ti_thread thread)
{
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_join(thread, NULL, &panics), TI_EPANIC);
    ti_panics_free(panics);
}

/* Whether the registry says that `thread` sleeps on `object`. */
static inline bool is_sleeping(ti_thread thread, enum ti_wait_kind kind, const void *object)
{
    struct ti_thread_record *record = ti_thread_find(thread);
    CHECK(record != NULL);
    return ti_get(record->wait_kind) == (uint32_t)kind && ti_get(record->wait_address) == (uintptr_t)object;
}

/* Returns once it does. Never for a thread that may stop waiting by itself: it could be over before anyone looked. */
static inline void await_sleeping(ti_thread thread, enum ti_wait_kind kind, const void *object)
{
    while (!is_sleeping(thread, kind, object)) {
        sched_yield();
    }
}

/* Runs function(context), which is to panic. */
static inline void expect_panic(void (*function)(void *context), void *context)
{
    ti_set_panic_hook(quiet);
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_catch(function, context, &panics), TI_EPANIC);
    ti_panics_free(panics);
}

/* The checked mode's last report. */
static char last_report[1024] __attribute__((unused));
static ti_status last_misuse __attribute__((unused));

static inline void keep_report(ti_status status, const char *report)
{
    last_misuse = status;
    snprintf(last_report, sizeof last_report, "%s", report);
}

#endif
