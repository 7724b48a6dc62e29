/* Panics in scopes: what crossbeam's and rayon's tests pin. */
#include <pthread.h>

#include "bodies.h"

static void *add_and_panic(void *context)
{
    add_one(context);
    ti_panic("child panicked");
    return NULL;
}

static void *counter_panic_body(ti_scope scope, void *context)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, add_and_panic, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EPANIC);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    }
    return NULL;
}

/* A panic taken by an explicit join does not fail the scope. */
static void counter_panic(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run("counter_panic", 0, counter_panic_body, &count, NULL, &panics), TI_OK);
    CHECK_EQUAL(count, 11);
}

static void *panic_twice_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, add_and_panic, context), TI_OK);
    CHECK_EQUAL(spawn(scope, add_and_panic, context), TI_OK);
    return NULL;
}

static void panic_twice(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, panic_twice_body, &count, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 2);
    CHECK_EQUAL(count, 2);
    ti_panics_free(panics);
}

static void *panic_many_body(ti_scope scope, void *context)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(spawn(scope, add_and_panic, context), TI_OK);
        CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    }
    ti_panic("the body as well");
    return NULL;
}

/* All panics are kept: the body's first, then the children's; siblings ran on. */
static void panic_many(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    ti_panic_view view;
    CHECK_EQUAL(ti_scope_run(NULL, 0, panic_many_body, &count, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 4);
    CHECK_EQUAL(count, 6);
    CHECK_EQUAL(ti_panics_at(panics, 0, &view), TI_OK);
    CHECK(strcmp(view.message, "the body as well") == 0);
    CHECK_EQUAL(ti_panics_at(panics, 3, &view), TI_OK);
    CHECK(strcmp(view.message, "child panicked") == 0);
    ti_panics_free(panics);
}

struct nested {
    _Atomic int count;
    ti_scope outer;
};

static void run_scope_that_panics(void *context)
{
    CHECK_EQUAL(ti_scope_run("panics", 0, panic_twice_body, context, NULL, NULL), TI_EINVAL);
}

static void panic_propagate_spawn(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_catch(run_scope_that_panics, &count, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 2);
    ti_panics_free(panics);
}

static void *panic_body(ti_scope scope, void *context)
{
    (void)scope;
    ti_panic("%s", (const char *)context);
    return NULL;
}

static void run_scope_whose_body_panics(void *context)
{
    ti_scope_run("body panics", 0, panic_body, context, NULL, NULL);
}

static void panic_propagate_scope(void)
{
    ti_set_panic_hook(quiet);
    ti_panics *panics = NULL;
    ti_panic_view view;
    CHECK_EQUAL(ti_catch(run_scope_whose_body_panics, "Hello, world!", &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_at(panics, 0, &view), TI_OK);
    CHECK(strcmp(view.message, "Hello, world!") == 0);
    ti_panics_free(panics);
}

static void *spawn_panicking(void *context)
{
    CHECK_EQUAL(spawn(((struct nested *)context)->outer, add_and_panic, &((struct nested *)context)->count), TI_OK);
    return NULL;
}

static void *panic_nested_body(ti_scope scope, void *context)
{
    ((struct nested *)context)->outer = scope;
    CHECK_EQUAL(spawn(scope, spawn_panicking, context), TI_OK);
    return NULL;
}

static void panic_propagate_nested_spawn(void)
{
    ti_set_panic_hook(quiet);
    struct nested nested = {0};
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, panic_nested_body, &nested, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 1);
    ti_panics_free(panics);
}

static void *inner_panics_body(ti_scope scope, void *context)
{
    (void)scope;
    ti_scope_run("inner", 0, panic_body, context, NULL, NULL);
    return NULL;
}

static void panic_propagate_nested_scope_spawn(void)
{
    ti_set_panic_hook(quiet);
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run("outer", 0, inner_panics_body, "deep", NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 1);
    ti_panics_free(panics);
}

static void *panic_then_spawn(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    CHECK_EQUAL(spawn(scope, add_and_panic, context), TI_OK);
    CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    return NULL;
}

static void panic_propagate_still_execute_1_2(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, panic_then_spawn, &count, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(count, 3);
    ti_panics_free(panics);
}

static void *spawn_then_panic(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    ti_panic("the body");
    return NULL;
}

static void panic_propagate_still_execute_3_4(void)
{
    ti_set_panic_hook(quiet);
    _Atomic int count = 0;
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, spawn_then_panic, &count, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(count, 1);
    ti_panics_free(panics);
}

static void *work_until_stopped(void *context)
{
    ti_scope scope = *(ti_scope *)context;
    CHECK_EQUAL(ti_scope_wait_stop(scope, TI_FOREVER), TI_ESTOPPED);
    return NULL;
}

static void *fail_fast_body(ti_scope scope, void *context)
{
    ((struct nested *)context)->outer = scope;
    CHECK_EQUAL(spawn(scope, work_until_stopped, &((struct nested *)context)->outer), TI_OK);
    CHECK_EQUAL(spawn(scope, add_and_panic, context), TI_OK);
    CHECK_EQUAL(ti_scope_wait_stop(scope, TI_FOREVER), TI_ESTOPPED);
    CHECK_EQUAL(spawn(scope, add_one, context), TI_ECLOSED);
    return NULL;
}

static void fail_fast_stops_and_closes(void)
{
    ti_set_panic_hook(quiet);
    struct nested nested = {0};
    ti_panics *panics = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, TI_SCOPE_FAIL_FAST, fail_fast_body, &nested, NULL, &panics), TI_EPANIC);
    CHECK_EQUAL(ti_panics_count(panics), 1);
    ti_panics_free(panics);
}

TEST_MAIN(TEST(counter_panic), TEST(panic_twice), TEST(panic_many), TEST(panic_propagate_spawn),
          TEST(panic_propagate_scope), TEST(panic_propagate_nested_spawn), TEST(panic_propagate_nested_scope_spawn),
          TEST(panic_propagate_still_execute_1_2), TEST(panic_propagate_still_execute_3_4),
          TEST(fail_fast_stops_and_closes))
