/* Scopes: what crossbeam's, rayon's and Rust's scope tests pin, and what goes beyond them. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "tinspect/runtime.h"

static void quiet(const ti_panic_view *view)
{
    (void)view;
}

static void *nothing(void *context)
{
    return context;
}

static void *add_one(void *context)
{
    atomic_fetch_add((_Atomic int *)context, 1);
    return NULL;
}

static ti_status spawn(ti_scope scope, ti_thread_function function, void *context)
{
    return ti_spawn(scope, NULL, function, context, NULL);
}

static void *empty_body(ti_scope scope, void *context)
{
    (void)scope;
    return context;
}

static void scope_empty(void)
{
    int value;
    void *result = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, empty_body, &value, &result, NULL), TI_OK);
    CHECK(result == &value);
}

static void *join_body(ti_scope scope, void *context)
{
    void *result = NULL;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK(result == context);
    return result;
}

static void join(void)
{
    int value;
    void *result = NULL;
    CHECK_EQUAL(ti_scope_run("join", 0, join_body, &value, &result, NULL), TI_OK);
    CHECK(result == &value);
}

static void *counter_body(ti_scope scope, void *context)
{
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    }
    return NULL;
}

static void counter(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run("counter", 0, counter_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 10);
}

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

static void *inner_body(ti_scope scope, void *context)
{
    struct nested *nested = context;
    CHECK_EQUAL(spawn(scope, add_one, &nested->count), TI_OK);
    CHECK_EQUAL(spawn(nested->outer, add_one, &nested->count), TI_OK);
    return NULL;
}

static void *open_inner_scope(void *context)
{
    CHECK_EQUAL(ti_scope_run("inner", 0, inner_body, context, NULL, NULL), TI_OK);
    return NULL;
}

static void *nesting_body(ti_scope scope, void *context)
{
    struct nested *nested = context;
    nested->outer = scope;
    CHECK_EQUAL(spawn(scope, open_inner_scope, context), TI_OK);
    open_inner_scope(context);
    return NULL;
}

static void nesting(void)
{
    struct nested nested = {0};
    CHECK_EQUAL(ti_scope_run("outer", 0, nesting_body, &nested, NULL, NULL), TI_OK);
    CHECK_EQUAL(nested.count, 4);
}

static void *spawn_into_own_scope(void *context)
{
    struct nested *nested = context;
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(nested->outer, NULL, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK(result == context);
    return result;
}

static void *join_nested_body(ti_scope scope, void *context)
{
    struct nested *nested = context;
    nested->outer = scope;
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(scope, NULL, spawn_into_own_scope, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    return result;
}

static void join_nested(void)
{
    struct nested nested = {0};
    void *result = NULL;
    CHECK_EQUAL(ti_scope_run(NULL, 0, join_nested_body, &nested, &result, NULL), TI_OK);
    CHECK(result == &nested);
}

struct range {
    ti_scope scope;
    _Atomic int *sum;
    int low, high;
};

static void *divide(void *context)
{
    struct range *range = context;
    if (range->high - range->low == 1) {
        atomic_fetch_add(range->sum, range->low);
        free(range);
        return NULL;
    }
    int middle = (range->low + range->high) / 2;
    int bounds[] = {range->low, middle, range->high};
    for (int i = 0; i < 2; i++) {
        struct range *half = malloc(sizeof *half);
        *half = (struct range){range->scope, range->sum, bounds[i], bounds[i + 1]};
        CHECK_EQUAL(spawn(range->scope, divide, half), TI_OK);
    }
    free(range);
    return NULL;
}

static void *divide_body(ti_scope scope, void *context)
{
    struct range *whole = malloc(sizeof *whole);
    *whole = (struct range){scope, context, 0, 64};
    CHECK_EQUAL(spawn(scope, divide, whole), TI_OK);
    return NULL;
}

static void scope_divide_and_conquer(void)
{
    _Atomic int sum = 0;
    CHECK_EQUAL(ti_scope_run("divide", 0, divide_body, &sum, NULL, NULL), TI_OK);
    CHECK_EQUAL(sum, 64 * 63 / 2);
}

/* Threads that nobody joins by hand give their stacks back while the scope goes on. */
static void *many_body(ti_scope scope, void *context)
{
    for (int i = 0; i < 3000; i++) {
        ti_thread thread;
        CHECK_EQUAL(ti_spawn(scope, NULL, add_one, context, i % 2 == 0 ? NULL : &thread), TI_OK);
        ti_scope_info info = {.size = sizeof info};
        CHECK_EQUAL(ti_scope_describe(scope, &info), TI_OK);
        if (info.running > 16) {
            ti_yield();
        }
    }
    return NULL;
}

static void linear_stack_growth(void)
{
    struct rlimit limit = {1u << 30, RLIM_INFINITY};
    _Atomic int count = 0;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &limit), 0); /* 500 stacks of 2 MiB at most */
#else
    (void)limit;
#endif
    CHECK_EQUAL(ti_scope_run("many", 0, many_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 3000);
}

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

struct mixed {
    _Atomic int outer_count;
    ti_scope outer;
};

static void *mixed_inner(ti_scope scope, void *context)
{
    struct mixed *mixed = context;
    _Atomic int inner_count = 0;
    (void)inner_count;
    CHECK_EQUAL(spawn(mixed->outer, add_one, &mixed->outer_count), TI_OK);
    CHECK_EQUAL(spawn(scope, add_one, &mixed->outer_count), TI_OK);
    return NULL;
}

static void *mixed_outer(ti_scope scope, void *context)
{
    ((struct mixed *)context)->outer = scope;
    CHECK_EQUAL(ti_scope_run("inner", 0, mixed_inner, context, NULL, NULL), TI_OK);
    CHECK(atomic_load(&((struct mixed *)context)->outer_count) >= 1);
    return NULL;
}

static void mixed_lifetime_scope(void)
{
    struct mixed mixed = {0};
    CHECK_EQUAL(ti_scope_run("outer", 0, mixed_outer, &mixed, NULL, NULL), TI_OK);
    CHECK_EQUAL(mixed.outer_count, 2);
}

static _Atomic int dropped;
static void drop_slowly(void *value)
{
    (void)value;
    for (int i = 0; i < 20; i++) {
        ti_yield();
    }
    atomic_fetch_add(&dropped, 1);
}

static void *results_body(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = drop_slowly;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, NULL), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_detach(thread), TI_OK);
    return NULL;
}

static void scoped_threads_drop_result_before_join(void)
{
    int value;
    CHECK_EQUAL(ti_scope_run(NULL, 0, results_body, &value, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 3);
}

static ti_scope drop_scope;
static _Atomic int drop_count;
static void drop_and_spawn(void *value)
{
    (void)value;
    CHECK_EQUAL(spawn(drop_scope, add_one, &drop_count), TI_OK);
}

static void *result_spawns_body(ti_scope scope, void *context)
{
    drop_scope = scope;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = drop_and_spawn;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, NULL), TI_OK);
    return NULL;
}

static void a_results_destructor_may_spawn(void)
{
    CHECK_EQUAL(ti_scope_run(NULL, 0, result_spawns_body, NULL, NULL, NULL), TI_OK);
    CHECK_EQUAL(drop_count, 2);
}

static pthread_key_t slow_key;
static void slow_destructor(void *value)
{
    for (int i = 0; i < 3; i++) {
        sched_yield();
    }
    atomic_fetch_sub((_Atomic int *)value, 1);
}

static void *leave_a_destructor(void *context)
{
    atomic_fetch_add((_Atomic int *)context, 1);
    pthread_setspecific(slow_key, context);
    return NULL;
}

static void *destructors_body(ti_scope scope, void *context)
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(spawn(scope, leave_a_destructor, context), TI_OK);
    }
    return NULL;
}

/* Beyond Rust: the implicit join waits for thread-local destructors. */
static void implicit_join_waits_for_destructors(void)
{
    const char *rounds = getenv("TI_TEST_SCOPES");
    long count = rounds == NULL ? 2000 : atol(rounds);
    CHECK_EQUAL(pthread_key_create(&slow_key, slow_destructor), 0);
    for (long i = 0; i < count; i++) {
        _Atomic int pending = 0;
        CHECK_EQUAL(ti_scope_run(NULL, 0, destructors_body, &pending, NULL, NULL), TI_OK);
        CHECK_EQUAL(pending, 0);
    }
}

static void *join_orders_body(ti_scope scope, void *context)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, leave_a_destructor, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(*(_Atomic int *)context, 0);
    return NULL;
}

static void join_orders_after_tls_destructors(void)
{
    CHECK_EQUAL(pthread_key_create(&slow_key, slow_destructor), 0);
    for (int i = 0; i < 100; i++) {
        _Atomic int pending = 0;
        CHECK_EQUAL(ti_scope_run(NULL, 0, join_orders_body, &pending, NULL, NULL), TI_OK);
    }
}

static _Atomic int scopes_in_destructors;
static void scope_in_destructor(void *value)
{
    _Atomic int count = 0;
    (void)value;
    CHECK(ti_current().id != 0);
    CHECK_EQUAL(ti_scope_run("in a destructor", 0, counter_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 10);
    atomic_fetch_add(&scopes_in_destructors, 1);
}

static void *leave_a_scope_for_later(void *context)
{
    pthread_setspecific(slow_key, context);
    return NULL;
}

static void *later_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, leave_a_scope_for_later, context), TI_OK);
    return NULL;
}

static void scopes_work_inside_destructors(void)
{
    CHECK_EQUAL(pthread_key_create(&slow_key, scope_in_destructor), 0);
    CHECK_EQUAL(ti_scope_run(NULL, 0, later_body, &dropped, NULL, NULL), TI_OK);
    CHECK_EQUAL(scopes_in_destructors, 1);
}

static void *spawn_from_destructor_body(ti_scope scope, void *context)
{
    drop_scope = scope;
    CHECK_EQUAL(spawn(scope, leave_a_scope_for_later, context), TI_OK);
    return NULL;
}

static void a_thread_local_destructor_may_spawn(void)
{
    CHECK_EQUAL(pthread_key_create(&slow_key, drop_and_spawn), 0);
    for (int i = 1; i <= 100; i++) {
        CHECK_EQUAL(ti_scope_run(NULL, 0, spawn_from_destructor_body, &dropped, NULL, NULL), TI_OK);
        CHECK_EQUAL(drop_count, i);
    }
}

static void *close_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    CHECK_EQUAL(ti_scope_close(scope), TI_OK);
    CHECK_EQUAL(spawn(scope, add_one, context), TI_ECLOSED);
    *(ti_scope *)((char *)context + 8) = scope;
    return NULL;
}

static void close_refuses_new_spawns(void)
{
    struct {
        _Atomic int count;
        int pad;
        ti_scope scope;
    } state = {0};
    CHECK_EQUAL(ti_scope_run(NULL, 0, close_body, &state, NULL, NULL), TI_OK);
    CHECK_EQUAL(state.count, 1);
    CHECK_EQUAL(spawn(state.scope, add_one, &state.count), TI_ESTALE);
    CHECK_EQUAL(ti_scope_close(state.scope), TI_ESTALE);
    ti_scope_info info = {.size = sizeof info};
    CHECK_EQUAL(ti_scope_describe(state.scope, &info), TI_ESTALE);
}

static void *work_until_stopped(void *context)
{
    ti_scope scope = *(ti_scope *)context;
    CHECK_EQUAL(ti_scope_wait_stop(scope, TI_FOREVER), TI_ESTOPPED);
    return NULL;
}

static void *stop_body(ti_scope scope, void *context)
{
    *(ti_scope *)context = scope;
    CHECK_EQUAL(spawn(scope, work_until_stopped, context), TI_OK);
    CHECK(!ti_scope_is_stopped(scope));
    CHECK_EQUAL(ti_scope_wait_stop(scope, ti_deadline_after(1000)), TI_ETIMEDOUT);
    CHECK_EQUAL(ti_scope_stop(scope), TI_OK);
    CHECK(ti_scope_is_stopped(scope));
    return NULL;
}

static void stop_token(void)
{
    ti_scope scope;
    CHECK_EQUAL(ti_scope_run(NULL, 0, stop_body, &scope, NULL, NULL), TI_OK);
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

static void *exit_early(void *context)
{
    add_one(context);
    pthread_exit(NULL);
}

static void *exit_body(ti_scope scope, void *context)
{
    ti_thread thread;
    CHECK_EQUAL(spawn(scope, exit_early, context), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, NULL, exit_early, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    return NULL;
}

static void pthread_exit_in_a_scope(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run(NULL, 0, exit_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 2);
}

struct owner_exit {
    _Atomic int running;
    _Atomic int let_go;
    ti_thread child;
};

static void *hold_until_let_go(void *context)
{
    struct owner_exit *state = context;
    atomic_fetch_add(&state->running, 1);
    while (atomic_load(&state->let_go) == 0) {
        ti_yield();
    }
    atomic_fetch_sub(&state->running, 1);
    return NULL;
}

static void *let_go_later(void *context)
{
    struct owner_exit *state = context;
    for (int i = 0; i < 50; i++) {
        ti_yield();
    }
    atomic_store(&state->let_go, 1);
    return NULL;
}

static void *exit_from_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, hold_until_let_go, context), TI_OK);
    CHECK_EQUAL(spawn(scope, let_go_later, context), TI_OK);
    pthread_exit(NULL);
}

static void *own_a_scope_and_exit(void *context)
{
    ti_scope_run(NULL, 0, exit_from_body, context, NULL, NULL);
    return NULL;
}

/* The owner's frames are unwound only after its children have ended. */
static void pthread_exit_from_the_body_joins(void)
{
    struct owner_exit state = {0};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, own_a_scope_and_exit, &state, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(state.running, 0);
    CHECK_EQUAL(state.let_go, 1);
}

static void *wait_in_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, hold_until_let_go, context), TI_OK);
    return NULL;
}

static _Atomic(pthread_t) scope_owner;
static void *own_a_scope(void *context)
{
    atomic_store(&scope_owner, pthread_self());
    return (void *)(intptr_t)ti_scope_run(NULL, 0, wait_in_body, context, NULL, NULL);
}

/* Cancelling an owner that waits for its children abandons nobody. */
static void cancel_of_a_joining_owner(void)
{
    struct owner_exit state = {0};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, own_a_scope, &state, &thread), TI_OK);
    while (atomic_load(&state.running) == 0) {
        ti_yield();
    }
    pthread_cancel(atomic_load(&scope_owner));
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(5000000), NULL, NULL), TI_ETIMEDOUT);
    atomic_store(&state.let_go, 1);
    ti_status status = ti_join(thread, NULL, NULL);
    CHECK(status == TI_OK || status == TI_ETERMINATED);
    CHECK_EQUAL(state.running, 0);
}

/* Runs `function` in a child process; its status, and what it wrote to stderr. */
static int outcome_of(void (*function)(void), char *words, size_t room)
{
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while (length + 1 < room && (got = read(ends[0], words + length, room - 1 - length)) > 0) {
        length += (size_t)got;
    }
    words[length] = 0;
    close(ends[0]);
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

static jmp_buf way_out;
static void *jump_body(ti_scope scope, void *context)
{
    (void)scope;
    (void)context;
    longjmp(way_out, 1);
}

__attribute__((noinline)) static void scope_in_a_deep_frame(void)
{
    volatile char room[4096];
    room[0] = 0;
    ti_scope_run(NULL, 0, jump_body, (void *)room, NULL, NULL);
}

static void run_longjmp(void)
{
    if (setjmp(way_out) == 0) {
        scope_in_a_deep_frame();
    }
    ti_scope_run(NULL, 0, empty_body, NULL, NULL, NULL);
}

static void longjmp_out_of_a_scope_is_fatal(void)
{
    char words[2048];
    int status = outcome_of(run_longjmp, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "left by longjmp") != NULL);
}

static void *jump_in_thread(void *context)
{
    (void)context;
    if (setjmp(way_out) == 0) {
        scope_in_a_deep_frame();
    }
    return NULL;
}

static void run_longjmp_in_thread(void)
{
    ti_thread thread;
    ti_spawn((ti_scope){0}, NULL, jump_in_thread, NULL, &thread);
    ti_join(thread, NULL, NULL);
}

static void ending_inside_a_scope_is_fatal(void)
{
    char words[2048];
    int status = outcome_of(run_longjmp_in_thread, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "ended inside of a scope") != NULL);
}

static void *unpark_owner(void *context)
{
    CHECK_EQUAL(ti_unpark(*(ti_thread *)context), TI_OK);
    return NULL;
}

static void *unpark_body(ti_scope scope, void *context)
{
    CHECK_EQUAL(spawn(scope, unpark_owner, context), TI_OK);
    return NULL;
}

/* The scope's join neither eats a user's token nor makes one. */
static void scopes_leave_unpark_tokens_alone(void)
{
    ti_thread self = ti_current();
    for (int i = 0; i < 50; i++) {
        CHECK_EQUAL(ti_scope_run(NULL, 0, unpark_body, &self, NULL, NULL), TI_OK);
        CHECK_EQUAL(ti_park_until(0), TI_OK);
        CHECK_EQUAL(ti_park_until(0), TI_ETIMEDOUT);
    }
}

struct siblings {
    ti_thread first;
    _Atomic int ready;
    _Atomic int let_go;
};

static void *first_sibling(void *context)
{
    struct siblings *state = context;
    while (atomic_load(&state->let_go) == 0) {
        ti_yield();
    }
    return context;
}

static void *second_sibling(void *context)
{
    struct siblings *state = context;
    void *result = NULL;
    atomic_store(&state->let_go, 1);
    CHECK_EQUAL(ti_join(state->first, &result, NULL), TI_OK);
    CHECK(result == context);
    return NULL;
}

static void *siblings_body(ti_scope scope, void *context)
{
    struct siblings *state = context;
    CHECK_EQUAL(ti_spawn(scope, NULL, first_sibling, context, &state->first), TI_OK);
    CHECK_EQUAL(spawn(scope, second_sibling, context), TI_OK);
    return NULL;
}

/* Either the sibling joins the first one, or the owner, who claims what nobody has claimed: both at once never. */
static void *sibling_or_owner(void *context)
{
    struct siblings *state = context;
    atomic_store(&state->let_go, 1);
    ti_status status = ti_join(state->first, NULL, NULL);
    CHECK(status == TI_OK || status == TI_ESTALE || status == TI_EBUSY);
    return NULL;
}

static void *contest_body(ti_scope scope, void *context)
{
    struct siblings *state = context;
    CHECK_EQUAL(ti_spawn(scope, NULL, first_sibling, context, &state->first), TI_OK);
    CHECK_EQUAL(spawn(scope, sibling_or_owner, context), TI_OK);
    return NULL;
}

static void siblings_may_join_each_other(void)
{
    struct siblings state = {0};
    CHECK_EQUAL(ti_scope_run(NULL, 0, siblings_body, &state, NULL, NULL), TI_OK);
    for (int i = 0; i < 200; i++) {
        struct siblings contest = {0};
        CHECK_EQUAL(ti_scope_run(NULL, 0, contest_body, &contest, NULL, NULL), TI_OK);
    }
}

static void enter_and_leave(void)
{
    ti_scope_frame frame;
    ti_scope scope;
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_enter("halves", 0, &frame, &scope), TI_OK);
    CHECK_EQUAL(spawn(scope, add_one, &count), TI_OK);
    ti_scope_info info = {.size = sizeof info};
    CHECK_EQUAL(ti_scope_describe(scope, &info), TI_OK);
    CHECK_EQUAL(info.spawned, 1);
    CHECK_EQUAL(info.owner.id, ti_thread_id());
    CHECK_EQUAL(ti_scope_leave(&frame, NULL), TI_OK);
    CHECK_EQUAL(count, 1);
}

TEST_MAIN(TEST(scope_empty), TEST(join), TEST(counter), TEST(counter_panic), TEST(panic_twice), TEST(panic_many),
          TEST(nesting), TEST(join_nested), TEST(scope_divide_and_conquer), TEST(linear_stack_growth),
          TEST(panic_propagate_spawn), TEST(panic_propagate_scope), TEST(panic_propagate_nested_spawn),
          TEST(panic_propagate_nested_scope_spawn), TEST(panic_propagate_still_execute_1_2),
          TEST(panic_propagate_still_execute_3_4), TEST(mixed_lifetime_scope),
          TEST(scoped_threads_drop_result_before_join), TEST(a_results_destructor_may_spawn),
          TEST(implicit_join_waits_for_destructors), TEST(join_orders_after_tls_destructors),
          TEST(scopes_work_inside_destructors), TEST(a_thread_local_destructor_may_spawn),
          TEST(close_refuses_new_spawns), TEST(stop_token), TEST(fail_fast_stops_and_closes),
          TEST(pthread_exit_in_a_scope), TEST(pthread_exit_from_the_body_joins), TEST(cancel_of_a_joining_owner),
          TEST(longjmp_out_of_a_scope_is_fatal), TEST(ending_inside_a_scope_is_fatal),
          TEST(scopes_leave_unpark_tokens_alone), TEST(siblings_may_join_each_other), TEST(enter_and_leave))
