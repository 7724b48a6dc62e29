/* fork, with scopes going on: the child sees the other threads as gone. */
/* not under tsan: threads after a fork are beyond it ("dup thread with used id") */
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "tinspect/runtime.h"

struct state {
    _Atomic int running;
    _Atomic int let_go;
};

static void *nothing(void *context)
{
    return context;
}

static ti_status spawn(ti_scope scope, ti_thread_function function, void *context)
{
    return ti_spawn(scope, NULL, function, context, NULL);
}

static void *hold_until_let_go(void *context)
{
    struct state *state = context;
    atomic_fetch_add(&state->running, 1);
    while (atomic_load(&state->let_go) == 0) {
        ti_yield();
    }
    return NULL;
}

static void *add_one(void *context)
{
    atomic_fetch_add((_Atomic int *)context, 1);
    return NULL;
}

static void *add_ten(ti_scope scope, void *context)
{
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    }
    return NULL;
}

static void scopes_still_work(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run("after a fork", 0, add_ten, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 10);
}

static void *fork_body(ti_scope scope, void *context)
{
    struct state *state = context;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, hold_until_let_go, state, &thread), TI_OK);
    CHECK_EQUAL(spawn(scope, hold_until_let_go, state), TI_OK);
    /* Both are past their start: AddressSanitizer's allocator does not survive a fork in the middle of an allocation.
     */
    while (atomic_load(&state->running) != 2) {
        ti_yield();
    }
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EGONE);
        CHECK_EQUAL(spawn(scope, nothing, NULL), TI_OK);
        return (void *)1;
    }
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&state->let_go, 1);
    return NULL;
}

/* The child sees the others as gone: its scope ends, and says so. */
static void fork_in_a_scope(void)
{
    struct state state = {0};
    void *result = NULL;
    ti_status status = ti_scope_run("forks", 0, fork_body, &state, &result, NULL);
    if (result != NULL) {
        CHECK_EQUAL(status, TI_EGONE);
        scopes_still_work();
        _exit(0);
    }
    CHECK_EQUAL(status, TI_OK);
}

static void *fork_from_child(void *context)
{
    ti_scope scope = *(ti_scope *)context;
    pid_t child = fork();
    if (child == 0) {
        /* The scope's owner is gone, so it takes no more threads. */
        CHECK_EQUAL(spawn(scope, nothing, NULL), TI_ECLOSED);
        scopes_still_work();
        _exit(0);
    }
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return NULL;
}

static void *fork_child_body(ti_scope scope, void *context)
{
    *(ti_scope *)context = scope;
    CHECK_EQUAL(spawn(scope, fork_from_child, context), TI_OK);
    return NULL;
}

static void fork_in_a_child_orphans_the_scope(void)
{
    ti_scope scope;
    CHECK_EQUAL(ti_scope_run(NULL, 0, fork_child_body, &scope, NULL, NULL), TI_OK);
}

static void a_free_thread_is_gone_after_fork(void)
{
    struct state state = {0};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, hold_until_let_go, &state, &thread), TI_OK);
    while (atomic_load(&state.running) == 0) {
        ti_yield();
    }
    pid_t child = fork();
    if (child == 0) {
        CHECK(ti_is_finished(thread));
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EGONE);
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
        _exit(0);
    }
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&state.let_go, 1);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

TEST_MAIN(TEST(fork_in_a_scope), TEST(fork_in_a_child_orphans_the_scope), TEST(a_free_thread_is_gone_after_fork))
