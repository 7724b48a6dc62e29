/* Spawning, joining, detaching: what Rust's std::thread tests pin. */
#include <pthread.h>

#include "arena.h"
#include "bodies.h"
#include "processes.h"

static void *answer(void *context)
{
    *(int *)context = 42;
    return context;
}

static void run_basic(void)
{
    int value = 0;
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, answer, &value, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK(result == &value && value == 42);
}

static void *wait_for_flag(void *context)
{
    while (atomic_load((_Atomic int *)context) == 0) {
        ti_park();
    }
    return NULL;
}

static void is_finished(void)
{
    _Atomic int flag = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_flag, &flag, &thread), TI_OK);
    CHECK(!ti_is_finished(thread));
    atomic_store(&flag, 1);
    CHECK_EQUAL(ti_unpark(thread), TI_OK);
    while (!ti_is_finished(thread)) {
        ti_yield();
    }
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK(ti_is_finished(thread));
}

static int dropped;
static void count_drop(void *value)
{
    dropped += *(int *)value;
}

static void *spawn_chain(void *context)
{
    intptr_t depth = (intptr_t)context;
    if (depth == 0) {
        return (void *)1;
    }
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_chain, (void *)(depth - 1), &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    return (void *)((intptr_t)result + 1);
}

static void spawn_children_of_children(void)
{
    CHECK((intptr_t)spawn_chain((void *)15) == 16);
}

static _Atomic int ended;
static void *count_end(void *context)
{
    (void)context;
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void detached_threads_run_on(void)
{
    for (int i = 0; i < 50; i++) {
        ti_thread thread;
        CHECK_EQUAL(ti_spawn(none, NULL, count_end, NULL, i % 2 ? &thread : NULL), TI_OK);
        if (i % 2) {
            CHECK_EQUAL(ti_detach(thread), TI_OK);
            CHECK_EQUAL(ti_detach(thread), TI_ESTALE);
            CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
        }
    }
    while (atomic_load(&ended) != 50) {
        ti_yield();
    }
}

static void *result_of_five(void *context)
{
    return context;
}

static void result_is_dropped_when_nobody_takes_it(void)
{
    int value = 5;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_result = count_drop;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options, result_of_five, &value, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 5);
    CHECK_EQUAL(ti_spawn(none, &options, result_of_five, &value, &thread), TI_OK);
    while (!ti_is_finished(thread)) {
        ti_yield();
    }
    CHECK_EQUAL(ti_detach(thread), TI_OK);
    CHECK_EQUAL(dropped, 10);
}

static void *stay_for_exit(void *context)
{
    (void)context;
    pthread_exit(NULL);
}

static void *wait_for_cancel(void *context)
{
    atomic_store((_Atomic int *)context, 1);
    for (;;) {
        pause();
    }
    return NULL;
}

static _Atomic(pthread_t) cancelled_thread;
static void *wait_for_cancel_known(void *context)
{
    atomic_store(&cancelled_thread, pthread_self());
    return wait_for_cancel(context);
}

static void exit_and_cancel_are_no_panics(void)
{
    ti_thread thread;
    _Atomic int ready = 0;
    CHECK_EQUAL(ti_spawn(none, NULL, stay_for_exit, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_cancel_known, &ready, &thread), TI_OK);
    while (atomic_load(&ready) == 0) {
        ti_yield();
    }
    pthread_cancel(atomic_load(&cancelled_thread));
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
}

static void *join_self(void *context)
{
    (void)context;
    return (void *)(intptr_t)ti_join(ti_current(), NULL, NULL);
}

static void self_join_is_refused(void)
{
    ti_thread thread;
    void *result = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, join_self, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &result, NULL), TI_OK);
    CHECK_EQUAL((intptr_t)result, TI_EDEADLK);
}

static void joining_twice_is_stale(void)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
}

static void join_with_a_deadline_abandons_nobody(void)
{
    _Atomic int flag = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, wait_for_flag, &flag, &thread), TI_OK);
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(2000000), NULL, NULL), TI_ETIMEDOUT);
    CHECK_EQUAL(ti_join_until(thread, 0, NULL, NULL), TI_ETIMEDOUT);
    atomic_store(&flag, 1);
    CHECK_EQUAL(ti_unpark(thread), TI_OK);
    CHECK_EQUAL(ti_join_until(thread, ti_deadline_after(60000000000u), NULL, NULL), TI_OK);
}

static void creation_failure_leaves_nothing_behind(void)
{
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = (size_t)1 << 60;
    options.drop_context = count_drop;
    int context = 1;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_EAGAIN);
    options.stack_size = SIZE_MAX;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_EOVERFLOW);
    CHECK_EQUAL(dropped, 0);
}

static void environment_is_dropped_in_the_child(void)
{
    int context = 7;
    ti_thread thread;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.drop_context = count_drop;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 7);
    CHECK_EQUAL(ti_spawn(none, &options, stay_for_exit, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ETERMINATED);
    CHECK_EQUAL(dropped, 14);
}

static void *check_same_address(void *context)
{
    return context;
}

static void avoid_copying_the_body(void)
{
    int big[1000] = {0};
    ti_thread thread;
    void *seen = NULL;
    CHECK_EQUAL(ti_spawn(none, NULL, check_same_address, big, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, &seen, NULL), TI_OK);
    CHECK(seen == big);
}

static void *child_after_parent(void *context)
{
    /* The parent ends first; the child's record must not lean on it. */
    ti_thread parent = *(ti_thread *)context;
    ti_thread_info info = {.size = sizeof info};
    while (ti_thread_describe(parent, &info) != TI_ESTALE) {
        ti_yield();
    }
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void *spawn_and_leave(void *context)
{
    *(ti_thread *)context = ti_current();
    CHECK_EQUAL(ti_spawn(none, NULL, child_after_parent, context, NULL), TI_OK);
    return NULL;
}

static void child_doesnt_ref_parent(void)
{
    ti_thread parent;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_and_leave, &parent, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    while (atomic_load(&ended) != 1) {
        ti_yield();
    }
}

static void types_must_be_send(void)
{
    ti_type shared = {.size = sizeof shared, .name = "shared only", .flags = TI_TYPE_SYNC};
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.context_type = &shared;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, NULL), TI_ENOTSEND);
    options.context_type = NULL;
    options.result_type = &shared;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, NULL), TI_ENOTSEND);
}

static void options_can_grow(void)
{
    struct {
        ti_spawn_options known;
        uint64_t later;
    } options = {.known = {.size = sizeof options}};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    options.later = 1;
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_EINVAL);
    options.known.size = sizeof(size_t);
    CHECK_EQUAL(ti_spawn(none, &options.known, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static uint32_t threads_in_registry(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ti_slot_high_water(TI_KIND_THREAD); i++) {
        count += ti_get(ti_slot_at(TI_KIND_THREAD, i)->id) != 0;
    }
    return count;
}

static _Atomic int hook_parents, hook_children, hook_discards;
static void *hook_parent(ti_thread child, void *context)
{
    CHECK(child.id != 0);
    atomic_fetch_add(&hook_parents, 1);
    return context;
}
static void hook_child(void *token, void *context)
{
    CHECK(token == context);
    atomic_fetch_add(&hook_children, 1);
}
static void hook_discard(void *token, void *context)
{
    CHECK(token == context);
    atomic_fetch_add(&hook_discards, 1);
}

static void *spawn_one_more(void *context)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    return NULL;
}

static void *host_of_hooks(void *context)
{
    ti_spawn_hook hook = {.size = sizeof hook,
                          .parent = hook_parent,
                          .child = hook_child,
                          .discard = hook_discard,
                          .context = context,
                          .drop_context = count_drop};
    CHECK_EQUAL(ti_add_spawn_hook(&hook), TI_OK);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, spawn_one_more, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(hook_parents, 2);
    CHECK_EQUAL(hook_children, 2);
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.flags = TI_SPAWN_NO_HOOKS;
    CHECK_EQUAL(ti_spawn(none, &options, spawn_one_more, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(hook_parents, 2);
    options = (ti_spawn_options)TI_SPAWN_OPTIONS;
    options.stack_size = (size_t)1 << 60;
    CHECK_EQUAL(ti_spawn(none, &options, nothing, NULL, &thread), TI_EAGAIN);
    CHECK_EQUAL(hook_discards, 1);
    CHECK_EQUAL(dropped, 0);
    return NULL;
}

static void *panic_when_told(ti_thread child, void *context)
{
    (void)child;
    (void)context;
    ti_panic("a hook of the parent");
}

static void spawn_with_hooks(void *handle)
{
    ti_spawn(none, NULL, nothing, NULL, handle);
}

/* Newest first: the hook that counts has made its token when the older one panics. */
static void *host_of_a_panicking_hook(void *context)
{
    ti_spawn_hook panics = {.size = sizeof panics, .parent = panic_when_told};
    ti_spawn_hook counts = {.size = sizeof counts, .parent = hook_parent, .discard = hook_discard, .context = context};
    CHECK_EQUAL(ti_add_spawn_hook(&panics), TI_OK);
    CHECK_EQUAL(ti_add_spawn_hook(&counts), TI_OK);
    uint32_t before = threads_in_registry();
    ti_thread thread = {0};
    CHECK_EQUAL(ti_catch(spawn_with_hooks, &thread, NULL), TI_EPANIC);
    CHECK_EQUAL(thread.id, 0);
    CHECK_EQUAL(hook_discards, 1);
    CHECK_EQUAL(threads_in_registry(), before);
    return NULL;
}

static void a_hook_that_panics_leaves_no_thread_behind(void)
{
    ti_set_panic_hook(quiet);
    ti_thread thread;
    int context = 7;
    CHECK_EQUAL(ti_spawn(none, NULL, host_of_a_panicking_hook, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static void panic_in_child(void *token, void *context)
{
    (void)token;
    (void)context;
    ti_panic("a hook of the child");
}

static void *host_of_a_hook_that_panics_in_the_child(void *context)
{
    ti_spawn_hook counts = {.size = sizeof counts, .parent = hook_parent, .discard = hook_discard, .context = context};
    ti_spawn_hook panics = {.size = sizeof panics, .child = panic_in_child};
    CHECK_EQUAL(ti_add_spawn_hook(&counts), TI_OK);
    CHECK_EQUAL(ti_add_spawn_hook(&panics), TI_OK);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EPANIC);
    CHECK_EQUAL(hook_discards, 1);
    return NULL;
}

static void a_hook_that_panics_in_the_child_discards_the_rest(void)
{
    ti_set_panic_hook(quiet);
    ti_thread thread;
    int context = 7;
    CHECK_EQUAL(ti_spawn(none, NULL, host_of_a_hook_that_panics_in_the_child, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static void spawn_hooks_are_inherited(void)
{
    int context = 1;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, host_of_hooks, &context, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(dropped, 1);
}

static void run_join_twice_checked(void)
{
    ti_set_checked(true, NULL);
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, nothing, NULL, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    ti_join(thread, NULL, NULL);
}

static void checked_mode_reports_joining_twice(void)
{
    char words[2048];
    int status = outcome_of(run_join_twice_checked, words, sizeof words);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(words, "misuse: joining a thread that was joined") != NULL);
}

TEST_MAIN(TEST(run_basic), TEST(is_finished), TEST(spawn_children_of_children), TEST(detached_threads_run_on),
          TEST(result_is_dropped_when_nobody_takes_it), TEST(exit_and_cancel_are_no_panics), TEST(self_join_is_refused),
          TEST(joining_twice_is_stale), TEST(join_with_a_deadline_abandons_nobody),
          TEST(creation_failure_leaves_nothing_behind), TEST(environment_is_dropped_in_the_child),
          TEST(avoid_copying_the_body), TEST(child_doesnt_ref_parent), TEST(types_must_be_send), TEST(options_can_grow),
          TEST(spawn_hooks_are_inherited), TEST(a_hook_that_panics_leaves_no_thread_behind),
          TEST(a_hook_that_panics_in_the_child_discards_the_rest), TEST(checked_mode_reports_joining_twice))
