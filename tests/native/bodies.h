/* What the tests' threads and scopes run. */
#ifndef TI_TEST_BODIES_H
#define TI_TEST_BODIES_H

#include <stdatomic.h>

#include "harness.h"
#include "tinspect/runtime.h"

static const ti_scope none __attribute__((unused)) = {0};

static inline void *nothing(void *context)
{
    return context;
}

static inline void *add_one(void *context)
{
    atomic_fetch_add((_Atomic int *)context, 1);
    return NULL;
}

/* Spawns a thread whose handle nobody holds. */
static inline ti_status spawn(ti_scope scope, ti_thread_function function, void *context)
{
    return ti_spawn(scope, NULL, function, context, NULL);
}

static inline void *empty_body(ti_scope scope, void *context)
{
    (void)scope;
    return context;
}

/* Ten children that count. */
static inline void *counter_body(ti_scope scope, void *context)
{
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    }
    return NULL;
}

/* Threads that are held until a test lets them go. */
struct held {
    _Atomic int running;
    _Atomic int let_go;
};

static inline void *hold_until_let_go(void *context)
{
    struct held *held = context;
    atomic_fetch_add(&held->running, 1);
    while (atomic_load(&held->let_go) == 0) {
        ti_yield();
    }
    atomic_fetch_sub(&held->running, 1);
    return NULL;
}

static inline void await_running(struct held *held, int count)
{
    while (atomic_load(&held->running) != count) {
        ti_yield();
    }
}

/* A panic hook for panics that are meant. */
static inline void quiet(const ti_panic_view *view)
{
    (void)view;
}

#endif
