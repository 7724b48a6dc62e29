/* Cells and loans: what RefCell's borrow tests pin, between threads, and what the registry must say of them. */
#include <stdatomic.h>
#include <stdbool.h>

#include "harness.h"
#include "tinspect/runtime.h"

static const ti_type both = {.size = sizeof(ti_type), .name = "int", .flags = TI_TYPE_SEND | TI_TYPE_SYNC};

struct state {
    int values[8];
    ti_scope scope;
    ti_cell cell;
    ti_loan loan;
    ti_loan second;
    ti_thread thread;
    _Atomic int stage;
    ti_status status;
};

/* Runs `body` in a scope with a cell over all of state->values. */
static void with_cell(const ti_type *type, ti_scope_body body, struct state *state)
{
    struct state own = {0};
    struct state *used = state == NULL ? &own : state;
    used->cell = (ti_cell){0};
    ti_scope_frame frame;
    CHECK_EQUAL(ti_scope_enter("cell", 0, &frame, &used->scope), TI_OK);
    CHECK_EQUAL(ti_cell_create(used->scope, used->values, sizeof used->values, type, &used->cell), TI_OK);
    body(used->scope, used);
    CHECK_EQUAL(ti_scope_leave(&frame, NULL), TI_OK);
}

static void *two_shared(ti_scope scope, void *context)
{
    struct state *state = context;
    const void *first = NULL;
    const void *second = NULL;
    (void)scope;
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &first, NULL), TI_OK);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 4, 4, &state->second, &second, NULL), TI_OK);
    CHECK(first == state->values && second == state->values + 1);
    return NULL;
}

static void double_imm_borrow(void)
{
    with_cell(&both, two_shared, NULL);
}

static void *exclusive_then_shared(ti_scope scope, void *context)
{
    struct state *state = context;
    void *data;
    const void *shared;
    ti_conflict conflict = {.size = sizeof conflict};
    (void)scope;
    CHECK_EQUAL(ti_set_thread_name("the holder", 0), TI_OK);
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &state->loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 4, &state->second, &shared, &conflict), TI_EBORROW);
    CHECK(conflict.exclusive && conflict.holder.id == ti_thread_id());
    CHECK(conflict.low == (uintptr_t)state->values && conflict.high == (uintptr_t)(state->values + 8));
    CHECK(strcmp(conflict.holder_name, "the holder") == 0);
    CHECK(conflict.taken_pc >= (uintptr_t)exclusive_then_shared &&
          conflict.taken_pc < (uintptr_t)exclusive_then_shared + 4096);
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 28, 4, &state->second, &data, &conflict), TI_EBORROW);
    return NULL;
}

static void no_mut_then_imm_borrow(void)
{
    with_cell(&both, exclusive_then_shared, NULL);
}

static void *shared_then_exclusive(ti_scope scope, void *context)
{
    struct state *state = context;
    void *data;
    const void *shared;
    ti_conflict conflict = {.size = sizeof conflict};
    (void)scope;
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &shared, NULL), TI_OK);
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &state->second, &data, &conflict), TI_EBORROW);
    CHECK(!conflict.exclusive);
    return NULL;
}

static void no_imm_then_borrow_mut(void)
{
    with_cell(&both, shared_then_exclusive, NULL);
}

static void *exclusive_twice(ti_scope scope, void *context)
{
    struct state *state = context;
    void *data;
    (void)scope;
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 16, &state->loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &state->second, &data, NULL), TI_EBORROW);
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 12, 8, &state->second, &data, NULL), TI_EBORROW);
    /* Ranges that only touch do not overlap. */
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 16, 16, &state->second, &data, NULL), TI_OK);
    CHECK(data == state->values + 4);
    return NULL;
}

static void no_double_borrow_mut(void)
{
    with_cell(&both, exclusive_twice, NULL);
}

static void *release_in_any_order(ti_scope scope, void *context)
{
    struct state *state = context;
    void *data;
    const void *shared;
    (void)scope;
    for (int order = 0; order < 2; order++) {
        CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &shared, NULL), TI_OK);
        CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->second, &shared, NULL), TI_OK);
        CHECK_EQUAL(ti_loan_end(order == 0 ? state->loan : state->second), TI_OK);
        ti_loan third;
        CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &third, &data, NULL), TI_EBORROW);
        CHECK_EQUAL(ti_loan_end(order == 0 ? state->second : state->loan), TI_OK);
        CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &third, &data, NULL), TI_OK);
        CHECK_EQUAL(ti_loan_end(third), TI_OK);
    }
    return NULL;
}

static void release_order(void)
{
    with_cell(&both, release_in_any_order, NULL);
}

static void *use_after_end(ti_scope scope, void *context)
{
    struct state *state = context;
    const void *data = NULL;
    void *writable;
    size_t length = 0;
    (void)scope;
    CHECK_EQUAL(ti_cell_borrow(state->cell, 8, 12, &state->loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_loan_data(state->loan, &data, &length), TI_OK);
    CHECK(data == state->values + 2 && length == 12);
    CHECK_EQUAL(ti_loan_data_mut(state->loan, &writable, &length), TI_EPERM);
    CHECK_EQUAL(ti_loan_end(state->loan), TI_OK);
    CHECK_EQUAL(ti_loan_data(state->loan, &data, &length), TI_ESTALE);
    CHECK_EQUAL(ti_loan_end(state->loan), TI_ESTALE);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->second, &data, NULL), TI_OK);
    return NULL;
}

static void using_a_loan_after_its_end_is_stale(void)
{
    struct state state = {0};
    const void *data;
    size_t length;
    with_cell(&both, use_after_end, &state);
    /* The scope ended what nobody had. */
    CHECK_EQUAL(ti_loan_data(state.second, &data, &length), TI_ESTALE);
    CHECK_EQUAL(ti_cell_borrow(state.cell, 0, 0, &state.loan, &data, NULL), TI_ESTALE);
    CHECK_EQUAL(ti_cell_end(state.cell), TI_ESTALE);
}

static void *borrow_shared(void *context)
{
    struct state *state = context;
    const void *data;
    state->status = ti_cell_borrow(state->cell, 0, 0, &state->loan, &data, NULL);
    return NULL;
}

static void *borrow_exclusive(void *context)
{
    struct state *state = context;
    void *data;
    state->status = ti_cell_borrow_mut(state->cell, 0, 0, &state->loan, &data, NULL);
    return NULL;
}

static ti_status from_another_thread(struct state *state, ti_thread_function function)
{
    ti_thread thread;
    CHECK_EQUAL(ti_spawn(state->scope, NULL, function, state, &thread), TI_OK);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
    return state->status;
}

static void *types_body(ti_scope scope, void *context)
{
    (void)scope;
    CHECK_EQUAL(from_another_thread(context, borrow_shared), TI_ENOTSYNC);
    CHECK_EQUAL(from_another_thread(context, borrow_exclusive), TI_ENOTSEND);
    struct state *state = context;
    const void *data;
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &data, NULL), TI_OK);
    return NULL;
}

static void *sync_only_body(ti_scope scope, void *context)
{
    (void)scope;
    CHECK_EQUAL(from_another_thread(context, borrow_exclusive), TI_ENOTSEND);
    CHECK_EQUAL(from_another_thread(context, borrow_shared), TI_OK);
    return NULL;
}

static void shared_loans_need_sync_and_exclusive_ones_send(void)
{
    ti_type neither = {.size = sizeof neither, .name = "cell of a thread"};
    ti_type sync = {.size = sizeof sync, .name = "read only", .flags = TI_TYPE_SYNC};
    with_cell(&neither, types_body, NULL);
    with_cell(NULL, types_body, NULL);
    with_cell(&sync, sync_only_body, NULL);
}

static void *use_given_loan(void *context)
{
    struct state *state = context;
    while (atomic_load(&state->stage) == 0) {
        ti_yield();
    }
    void *data;
    size_t length;
    CHECK_EQUAL(ti_loan_data_mut(state->loan, &data, &length), TI_OK);
    ((int *)data)[0] = 42;
    CHECK_EQUAL(ti_loan_end(state->loan), TI_OK);
    return NULL;
}

static void *give_body(ti_scope scope, void *context)
{
    struct state *state = context;
    void *data;
    size_t length;
    CHECK_EQUAL(ti_cell_borrow_mut(state->cell, 0, 0, &state->loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, NULL, use_given_loan, state, &state->thread), TI_OK);
    CHECK_EQUAL(ti_loan_give(state->loan, state->thread), TI_OK);
    /* Given away: it is no longer ours to use or to give. */
    CHECK_EQUAL(ti_loan_data_mut(state->loan, &data, &length), TI_EPERM);
    CHECK_EQUAL(ti_loan_give(state->loan, state->thread), TI_EPERM);
    atomic_store(&state->stage, 1);
    CHECK_EQUAL(ti_join(state->thread, NULL, NULL), TI_OK);
    CHECK_EQUAL(state->values[0], 42);
    return NULL;
}

static void a_loan_can_be_given_to_a_thread(void)
{
    with_cell(&both, give_body, NULL);
}

static void *not_the_owner(void *context)
{
    struct state *state = context;
    int local = 0;
    ti_cell cell;
    CHECK_EQUAL(ti_cell_create(state->scope, &local, sizeof local, &both, &cell), TI_EPERM);
    CHECK_EQUAL(ti_cell_end(state->cell), TI_EPERM);
    return NULL;
}

static void *owner_body(ti_scope scope, void *context)
{
    struct state *state = context;
    const void *data;
    ti_cell bad;
    (void)scope;
    from_another_thread(state, not_the_owner);
    CHECK_EQUAL(ti_cell_create(state->scope, NULL, 4, &both, &bad), TI_EINVAL);
    CHECK_EQUAL(ti_cell_create(state->scope, state, SIZE_MAX, &both, &bad), TI_EINVAL);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 33, 0, &state->loan, &data, NULL), TI_EOVERFLOW);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 4, SIZE_MAX, &state->loan, &data, NULL), TI_EOVERFLOW);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_cell_end(state->cell), TI_EBORROW);
    CHECK_EQUAL(ti_loan_end(state->loan), TI_OK);
    CHECK_EQUAL(ti_cell_end(state->cell), TI_OK);
    CHECK_EQUAL(ti_cell_borrow(state->cell, 0, 0, &state->loan, &data, NULL), TI_ESTALE);
    return NULL;
}

static void only_the_owner_lends(void)
{
    with_cell(&both, owner_body, NULL);
}

struct contest {
    ti_cell cell;
    long total;
    _Atomic int won;
};

static void *contend(void *context)
{
    struct contest *contest = context;
    for (int i = 0; i < 500; i++) {
        ti_loan loan;
        void *data;
        if (ti_cell_borrow_mut(contest->cell, 0, 0, &loan, &data, NULL) == TI_OK) {
            *(long *)data += 1; /* no data race: the loan is exclusive */
            atomic_fetch_add(&contest->won, 1);
            CHECK_EQUAL(ti_loan_end(loan), TI_OK);
        } else {
            ti_yield();
        }
    }
    return NULL;
}

static void exclusive_loans_exclude_between_threads(void)
{
    struct contest contest = {.total = 0};
    ti_scope_frame frame;
    ti_scope scope;
    CHECK_EQUAL(ti_scope_enter(NULL, 0, &frame, &scope), TI_OK);
    CHECK_EQUAL(ti_cell_create(scope, &contest.total, sizeof contest.total, &both, &contest.cell), TI_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(ti_spawn(scope, NULL, contend, &contest, NULL), TI_OK);
    }
    CHECK_EQUAL(ti_scope_leave(&frame, NULL), TI_OK);
    CHECK_EQUAL(contest.total, contest.won);
}

TEST_MAIN(TEST(double_imm_borrow), TEST(no_mut_then_imm_borrow), TEST(no_imm_then_borrow_mut),
          TEST(no_double_borrow_mut), TEST(release_order), TEST(using_a_loan_after_its_end_is_stale),
          TEST(shared_loans_need_sync_and_exclusive_ones_send), TEST(a_loan_can_be_given_to_a_thread),
          TEST(only_the_owner_lends), TEST(exclusive_loans_exclude_between_threads))
