/* OnceCell and LazyCell. Names follow the tests of std::sync::OnceLock and LazyLock where there is one. */
#include "threads.h"

static int one = 1;
static int two = 2;

static ti_status give(void *context, void **value)
{
    *value = context;
    return TI_OK;
}

static ti_status unreachable(void *context, void **value)
{
    (void)context;
    (void)value;
    CHECK(!"the initialiser must not run");
    return TI_OK;
}

static void sync_once_cell_get_mut_and_take(void)
{
    ti_once_cell cell = TI_ONCE_CELL_INIT;
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_get(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_once_cell_take(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_once_cell_set(&cell, &one), TI_OK);
    CHECK_EQUAL(ti_once_cell_set(&cell, &two), TI_EBUSY);
    CHECK_EQUAL(ti_once_cell_get(&cell, &value), TI_OK);
    CHECK(value == &one);
    CHECK_EQUAL(ti_once_cell_take(&cell, &value), TI_OK);
    CHECK(value == &one);
    CHECK_EQUAL(ti_once_cell_get(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_once_cell_set(&cell, &two), TI_OK);
}

static void *get_or_make_one(void *context)
{
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_get_or_make(context, give, &one, &value), TI_OK);
    CHECK(value == &one);
    return NULL;
}

static void sync_once_cell(void)
{
    static ti_once_cell cell = TI_ONCE_CELL_INIT;
    void *value = NULL;
    finish(start(get_or_make_one, &cell));
    CHECK_EQUAL(ti_once_cell_get_or_make(&cell, unreachable, NULL, &value), TI_OK);
    CHECK(value == &one);
}

static ti_status refuse(void *context, void **value)
{
    (void)context;
    (void)value;
    return TI_ENOMEM;
}

static void get_or_try_init(void)
{
    ti_once_cell cell = TI_ONCE_CELL_INIT;
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_get_or_make(&cell, refuse, NULL, &value), TI_ENOMEM);
    CHECK_EQUAL(ti_once_cell_get(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_once_cell_get_or_make(&cell, give, &one, &value), TI_OK);
    CHECK(value == &one);
}

static ti_status panic_making(void *context, void **value)
{
    (void)context;
    (void)value;
    ti_panic("explicit panic");
}

static void make_and_panic(void *context)
{
    void *value;
    ti_once_cell_get_or_make(context, panic_making, NULL, &value);
}

static void a_panic_leaves_the_cell_empty(void)
{
    ti_once_cell cell = TI_ONCE_CELL_INIT;
    void *value = NULL;
    expect_panic(make_and_panic, &cell);
    CHECK_EQUAL(ti_once_cell_get(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_once_cell_set(&cell, &one), TI_OK);
}

static ti_status need_itself(void *context, void **value)
{
    CHECK_EQUAL(ti_once_cell_get_or_make(context, give, &one, value), TI_ERECURSION);
    *value = &two;
    return TI_OK;
}

static void reentrant_init_is_reported(void)
{
    ti_once_cell cell = TI_ONCE_CELL_INIT;
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_get_or_make(&cell, need_itself, &cell, &value), TI_OK);
    CHECK(value == &two);
}

static void *wait_for_value(void *context)
{
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_wait(context, &value), TI_OK);
    CHECK(value == &one);
    return NULL;
}

static void sync_once_cell_wait(void)
{
    ti_once_cell cell = TI_ONCE_CELL_INIT;
    ti_thread waiter = start(wait_for_value, &cell);
    await_sleeping(waiter, TI_WAIT_ONCE, &cell.once);
    CHECK_EQUAL(ti_once_cell_set(&cell, &one), TI_OK);
    finish(waiter);
}

struct race {
    ti_once_cell cell;
    _Atomic int made;
};

static ti_status count_making(void *context, void **value)
{
    struct race *race = context;
    atomic_fetch_add(&race->made, 1);
    sched_yield();
    *value = race;
    return TI_OK;
}

static void *run_race(void *context)
{
    struct race *race = context;
    void *value = NULL;
    CHECK_EQUAL(ti_once_cell_get_or_make(&race->cell, count_making, race, &value), TI_OK);
    CHECK(value == race);
    return NULL;
}

static void sync_once_cell_does_not_leak_partially_constructed_values(void)
{
    for (int round = 0; round < 50; round++) {
        struct race race = {TI_ONCE_CELL_INIT, 0};
        ti_thread threads[4];
        for (int i = 0; i < 4; i++) {
            threads[i] = start(run_race, &race);
        }
        for (int i = 0; i < 4; i++) {
            finish(threads[i]);
        }
        CHECK_EQUAL(atomic_load(&race.made), 1);
    }
}

static int lazily_made;

static ti_status make_lazily(void *context, void **value)
{
    lazily_made++;
    *value = context;
    return TI_OK;
}

static void lazy_new(void)
{
    ti_lazy_cell cell = TI_LAZY_CELL_INIT(make_lazily, &one);
    void *value = NULL;
    CHECK_EQUAL(lazily_made, 0);
    CHECK_EQUAL(ti_lazy_cell_peek(&cell, &value), TI_ENOTSET);
    CHECK_EQUAL(ti_lazy_cell_get(&cell, &value), TI_OK);
    CHECK(value == &one);
    value = NULL;
    CHECK_EQUAL(ti_lazy_cell_get(&cell, &value), TI_OK);
    CHECK(value == &one);
    CHECK_EQUAL(lazily_made, 1);
    CHECK_EQUAL(ti_lazy_cell_peek(&cell, &value), TI_OK);
}

static void force_and_panic(void *context)
{
    void *value;
    ti_lazy_cell_get(context, &value);
}

static void lazy_poisoning(void)
{
    ti_lazy_cell cell = TI_LAZY_CELL_INIT(panic_making, NULL);
    void *value = NULL;
    expect_panic(force_and_panic, &cell);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(ti_lazy_cell_get(&cell, &value), TI_EPOISONED);
    }
    CHECK_EQUAL(ti_lazy_cell_peek(&cell, &value), TI_EPOISONED);
}

static void *get_lazily(void *context)
{
    void *value = NULL;
    CHECK_EQUAL(ti_lazy_cell_get(context, &value), TI_OK);
    CHECK(value == &two);
    return NULL;
}

static void sync_lazy_new(void)
{
    static ti_lazy_cell cell = TI_LAZY_CELL_INIT(make_lazily, &two);
    ti_thread threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = start(get_lazily, &cell);
    }
    for (int i = 0; i < 4; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(lazily_made, 1);
}

TEST_MAIN(TEST(sync_once_cell_get_mut_and_take), TEST(sync_once_cell), TEST(get_or_try_init),
          TEST(a_panic_leaves_the_cell_empty), TEST(reentrant_init_is_reported), TEST(sync_once_cell_wait),
          TEST(sync_once_cell_does_not_leak_partially_constructed_values), TEST(lazy_new), TEST(lazy_poisoning),
          TEST(sync_lazy_new))
