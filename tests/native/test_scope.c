/* Scopes: what crossbeam's, rayon's and Rust's scope tests pin. */
#include <pthread.h>
#include <sys/resource.h>

#include "bodies.h"
#include "slots.h"

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

static void counter(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run("counter", 0, counter_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 10);
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

static void *overflow_body(ti_scope scope, void *context)
{
    struct ti_scope_slot *slot = (struct ti_scope_slot *)ti_slot_at(TI_KIND_SCOPE, scope.slot);
    ti_set(slot->record.unjoined, UINT32_MAX);
    CHECK_EQUAL(spawn(scope, add_one, context), TI_EOVERFLOW);
    CHECK_EQUAL(ti_get(slot->record.running), 0);
    ti_set(slot->record.unjoined, 0);
    CHECK_EQUAL(spawn(scope, add_one, context), TI_OK);
    return NULL;
}

static void too_many_children_is_an_overflow(void)
{
    _Atomic int count = 0;
    CHECK_EQUAL(ti_scope_run(NULL, 0, overflow_body, &count, NULL, NULL), TI_OK);
    CHECK_EQUAL(count, 1);
}

static void stop_token(void)
{
    ti_scope scope;
    CHECK_EQUAL(ti_scope_run(NULL, 0, stop_body, &scope, NULL, NULL), TI_OK);
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

TEST_MAIN(TEST(scope_empty), TEST(join), TEST(counter), TEST(nesting), TEST(join_nested),
          TEST(scope_divide_and_conquer), TEST(linear_stack_growth), TEST(mixed_lifetime_scope),
          TEST(close_refuses_new_spawns), TEST(stop_token), TEST(scopes_leave_unpark_tokens_alone),
          TEST(too_many_children_is_an_overflow), TEST(siblings_may_join_each_other), TEST(enter_and_leave))
