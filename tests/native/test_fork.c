/* fork, with scopes going on: the child sees the other threads as gone. */
/* not under tsan: threads after a fork are beyond it ("dup thread with used id") */
#include <sys/wait.h>
#include <unistd.h>

#include "bodies.h"
#include "slots.h"
#include "word_lock.h"

static void await_child(pid_t child)
{
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void scopes_still_work(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run("after a fork", 0, counter_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 10);
}

static void *fork_body(ti_scope scope, void *context)
{
    struct held *state = context;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, hold_until_let_go, state, &thread), TI_OK);
    CHECK_EQUAL(spawn(scope, hold_until_let_go, state), TI_OK);
    /* Both are past their start: AddressSanitizer's allocator does not survive a fork in the middle of an allocation.
     */
    await_running(state, 2);
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EGONE);
        CHECK_EQUAL(spawn(scope, nothing, NULL), TI_OK);
        return (void *)1;
    }
    await_child(child);
    atomic_store(&state->let_go, 1);
    return NULL;
}

/* The child sees the others as gone: its scope ends, and says so. */
static void fork_in_a_scope(void)
{
    struct held state = {0};
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
    await_child(child);
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
    struct held state = {0};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, hold_until_let_go, &state, &thread), TI_OK);
    await_running(&state, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK(ti_is_finished(thread));
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_EGONE);
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
        _exit(0);
    }
    await_child(child);
    atomic_store(&state.let_go, 1);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static ti_thread spawn_large(ti_thread_function function, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = 64 << 20; /* more than glibc keeps for later (40 MiB): it unmaps such stacks */
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, &options, function, context, &thread), TI_OK);
    return thread;
}

/* Its descriptor went with its stack. */
static void detaching_a_gone_thread_leaves_its_remains_alone(void)
{
    struct held state = {0};
    ti_thread thread = spawn_large(hold_until_let_go, &state);
    await_running(&state, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQUAL(ti_join(spawn_large(nothing, NULL), NULL, NULL), TI_OK);
        CHECK_EQUAL(ti_detach(thread), TI_OK);
        CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_ESTALE);
        _exit(0);
    }
    await_child(child);
    atomic_store(&state.let_go, 1);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static void *detach_gone_body(ti_scope scope, void *context)
{
    struct held *state = context;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(scope, NULL, hold_until_let_go, state, &thread), TI_OK);
    await_running(state, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQUAL(ti_detach(thread), TI_OK);
        return (void *)1;
    }
    await_child(child);
    atomic_store(&state->let_go, 1);
    return NULL;
}

static void a_detached_gone_child_is_still_reported(void)
{
    struct held state = {0};
    void *result = NULL;
    ti_status status = ti_scope_run(NULL, 0, detach_gone_body, &state, &result, NULL);
    if (result != NULL) {
        _exit(status == TI_EGONE ? 0 : 1);
    }
    CHECK_EQUAL(status, TI_OK);
}

struct changing {
    struct ti_scope_slot *scope;
    _Atomic bool held;
    _Atomic bool forked;
};

/* Stands for a child in the middle of a spawn. 2: somebody sleeps until the lock is free. */
static void *change_the_list(void *context)
{
    struct changing *changing = context;
    ti_word_lock(&changing->scope->lock);
    atomic_store(&changing->held, true);
    while (ti_get(changing->scope->lock) != 2) {
        CHECK(!atomic_load(&changing->forked));
        ti_yield();
    }
    ti_word_unlock(&changing->scope->lock);
    return NULL;
}

static void fork_waits_until_its_own_scopes_stand_still(void)
{
    ti_scope_frame frame;
    ti_scope scope;
    CHECK_EQUAL(ti_scope_enter(NULL, 0, &frame, &scope), TI_OK);
    struct changing changing = {.scope = (struct ti_scope_slot *)ti_slot_at(TI_KIND_SCOPE, scope.slot)};
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(none, NULL, change_the_list, &changing, &thread), TI_OK);
    while (!atomic_load(&changing.held)) {
        ti_yield();
    }
    pid_t child = fork();
    atomic_store(&changing.forked, true);
    if (child == 0) {
        CHECK_EQUAL(spawn(scope, nothing, NULL), TI_OK);
        CHECK_EQUAL(ti_scope_leave(&frame, NULL), TI_OK);
        _exit(0);
    }
    await_child(child);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(ti_scope_leave(&frame, NULL), TI_OK);
}

static void what_a_lost_writer_left_is_not_torn_for_ever(void)
{
    struct ti_slot *slot = ti_slot_take(TI_KIND_LOCK); /* its sequence is odd now */
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQUAL(ti_get(slot->sequence) & 1, 0);
        _exit(0);
    }
    await_child(child);
    CHECK_EQUAL(ti_get(slot->sequence) & 1, 1);
}

TEST_MAIN(TEST(fork_in_a_scope), TEST(fork_in_a_child_orphans_the_scope), TEST(a_free_thread_is_gone_after_fork),
          TEST(detaching_a_gone_thread_leaves_its_remains_alone), TEST(a_detached_gone_child_is_still_reported),
          TEST(fork_waits_until_its_own_scopes_stand_still), TEST(what_a_lost_writer_left_is_not_torn_for_ever))
