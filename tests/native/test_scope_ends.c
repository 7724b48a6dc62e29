/* How scopes end: destructors, exits, cancellation, jumps. */
#include <pthread.h>
#include <setjmp.h>

#include "bodies.h"
#include "processes.h"

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

static void *let_go_later(void *context)
{
    struct held *state = context;
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
    struct held state = {0};
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
    struct held state = {0};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, own_a_scope, &state, &thread), TI_OK);
    await_running(&state, 1);
    pthread_cancel(atomic_load(&scope_owner));
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(5000000), NULL, NULL), TI_ETIMEDOUT);
    atomic_store(&state.let_go, 1);
    ti_status status = ti_join(thread, NULL, NULL);
    CHECK(status == TI_OK || status == TI_ETERMINATED);
    CHECK_EQUAL(state.running, 0);
}

static void drop_and_cancel(void *value)
{
    add_one(value);
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

static void *cancelled_drops_body(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_context = drop_and_cancel;
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, NULL), TI_OK);
    return NULL;
}

/* A thread that ended in there would never be counted out of its scope. */
static void cancel_in_an_environments_destructor_waits(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run(NULL, 0, cancelled_drops_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 1);
}

static void *cancelled_results_body(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = drop_and_cancel;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, &options, nothing, context, &thread), TI_OK);
    return NULL;
}

static void *own_results_that_cancel(void *context)
{
    ti_scope_run(NULL, 0, cancelled_results_body, context, NULL, NULL);
    CHECK_EQUAL(*(_Atomic int *)context, 2);
    pthread_testcancel();
    return NULL;
}

static void cancel_in_a_results_destructor_abandons_nobody(void)
{
    _Atomic int count = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, own_results_that_cancel, &count, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(count, 2);
}

static void drop_and_exit(void *value)
{
    (void)value;
    pthread_exit(NULL);
}

static void run_exit_in_a_destructor(void)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_context = drop_and_exit;
    ti_thread thread;
    ti_spawn(none, &options, nothing, &options, &thread);
    ti_join(thread, NULL, NULL);
}

static void pthread_exit_in_a_destructor_is_fatal(void)
{
    char words[2048];
    int status = outcome_of(run_exit_in_a_destructor, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "the destructor of a thread's environment did not return") != NULL);
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

TEST_MAIN(TEST(scoped_threads_drop_result_before_join), TEST(a_results_destructor_may_spawn),
          TEST(implicit_join_waits_for_destructors), TEST(join_orders_after_tls_destructors),
          TEST(scopes_work_inside_destructors), TEST(a_thread_local_destructor_may_spawn),
          TEST(pthread_exit_in_a_scope), TEST(pthread_exit_from_the_body_joins), TEST(cancel_of_a_joining_owner),
          TEST(cancel_in_an_environments_destructor_waits), TEST(cancel_in_a_results_destructor_abandons_nobody),
          TEST(pthread_exit_in_a_destructor_is_fatal), TEST(longjmp_out_of_a_scope_is_fatal),
          TEST(ending_inside_a_scope_is_fatal))
