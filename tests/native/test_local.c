/* Local values. Names follow std's thread_local tests where there is one. The same file is built three times: with
 * compiler thread-locals, with their destructors run by a guard key (test_local_guard.c), and with keys
 * (test_local_by_key.c). */
#include "threads.h"
#include "tinspect/local.h"

TI_LOCAL(int, plain, TI_CONST(1), NULL);

static void *see_fresh_plain(void *context)
{
    CHECK_EQUAL(*plain_get(), 1);
    *plain_get() = 3;
    return context;
}

static void smoke_no_dtor(void)
{
    CHECK_EQUAL(*plain_get(), 1);
    *plain_get() = 2;
    finish(start(see_fresh_plain, NULL));
    CHECK_EQUAL(*plain_get(), 2);
}

/* A value whose destructor says that it ran. */
struct signal {
    _Atomic int *count;
};

static void signal_drop(void *value)
{
    struct signal *signal = value;
    if (signal->count != NULL) {
        atomic_fetch_add(signal->count, 1);
    }
}

TI_LOCAL(struct signal, watched, TI_CONST({NULL}), signal_drop);

static ti_status seen_in_drop;

static void self_check_drop(void *value);
TI_LOCAL(int, self_checked, TI_CONST(5), self_check_drop);

static void self_check_drop(void *value)
{
    CHECK_EQUAL(*(int *)value, 6);
    CHECK(self_checked_get() == NULL);
    CHECK_EQUAL(self_checked_set(1), TI_EDESTROYED);
    int out = 0;
    CHECK_EQUAL(self_checked_take(&out), TI_EDESTROYED);
    CHECK_EQUAL(self_checked_replace(1, &out), TI_EDESTROYED);
    CHECK_EQUAL(self_checked_with(NULL, NULL), TI_EDESTROYED);
    CHECK_EQUAL(self_checked_with_mut(NULL, NULL), TI_EDESTROYED);
    seen_in_drop = TI_EDESTROYED;
}

static void *use_self_checked(void *context)
{
    CHECK(self_checked_get() != NULL);
    *self_checked_get() = 6;
    return context;
}

static void states(void)
{
    finish(start(use_self_checked, NULL));
    CHECK_EQUAL(seen_in_drop, TI_EDESTROYED);
}

static void *touch_watched(void *context)
{
    watched_get()->count = context;
    return NULL;
}

static void *touch_nothing(void *context)
{
    return context;
}

static void smoke_dtor(void)
{
    _Atomic int count = 0;
    finish(start(touch_nothing, NULL));
    CHECK_EQUAL(atomic_load(&count), 0);
    finish(start(touch_watched, &count));
    CHECK_EQUAL(atomic_load(&count), 1);
}

/* Two values whose destructors make each other alive. */
static _Atomic int circles;
static void left_drop(void *value);
static void right_drop(void *value);
TI_LOCAL(int, left, TI_CONST(0), left_drop);
TI_LOCAL(int, right, TI_CONST(0), right_drop);

static void left_drop(void *value)
{
    (void)value;
    atomic_fetch_add(&circles, 1);
    int *other = right_get(); /* alive, or destroyed if it went first */
    if (other != NULL) {
        (*other)++;
    }
}

static void right_drop(void *value)
{
    (void)value;
    atomic_fetch_add(&circles, 1);
    int *other = left_get();
    if (other != NULL) {
        (*other)++;
    }
}

static void *touch_left(void *context)
{
    CHECK(left_get() != NULL);
    return context;
}

static void circular(void)
{
    finish(start(touch_left, NULL));
    CHECK_EQUAL(atomic_load(&circles), 2); /* right was made alive by left's destructor, and ended too */
}

static int self_ends;
static void narcissus_drop(void *value);
TI_LOCAL(int, narcissus, TI_CONST(0), narcissus_drop);

static void narcissus_drop(void *value)
{
    (void)value;
    self_ends++;
    CHECK(narcissus_get() == NULL);
}

static void *touch_narcissus(void *context)
{
    CHECK(narcissus_get() != NULL);
    return context;
}

static void self_referential(void)
{
    finish(start(touch_narcissus, NULL));
    CHECK_EQUAL(self_ends, 1);
}

/* A destructor makes a second value alive, whose destructor makes a third alive. */
static void first_drop(void *value);
static void second_drop(void *value);
TI_LOCAL(_Atomic int *, first, TI_CONST(NULL), first_drop);
TI_LOCAL(_Atomic int *, second, TI_CONST(NULL), second_drop);
TI_LOCAL(struct signal, third, TI_CONST({NULL}), signal_drop);

static void first_drop(void *value)
{
    *second_get() = *(_Atomic int **)value;
}

static void second_drop(void *value)
{
    third_get()->count = *(_Atomic int **)value;
}

static void *touch_first(void *context)
{
    *first_get() = context;
    return NULL;
}

static void dtors_in_dtors_in_dtors(void)
{
    _Atomic int count = 0;
    finish(start(touch_first, &count));
    CHECK_EQUAL(atomic_load(&count), 1);
}

/* The join waits for a destructor that takes its time. */
struct slow {
    _Atomic int *gate;
    int *written;
};

static void slow_drop(void *value)
{
    struct slow *slow = value;
    while (atomic_load(slow->gate) == 0) {
        sched_yield();
    }
    for (int i = 0; i < 100; i++) {
        sched_yield();
    }
    *slow->written = 1; /* no atomics: the join publishes it */
}

TI_LOCAL(struct slow, slow_to_end, TI_CONST({NULL, NULL}), slow_drop);

static void *touch_slow(void *context)
{
    CHECK_EQUAL(slow_to_end_set(*(struct slow *)context), TI_OK);
    return NULL;
}

static void join_orders_after_tls_destructors(void)
{
    for (int i = 0; i < 20; i++) {
        _Atomic int gate = 0;
        int written = 0;
        struct slow slow = {&gate, &written};
        ti_thread thread = start(touch_slow, &slow);
        while (!ti_is_finished(thread)) { /* its function has ended, its destructor has not */
            sched_yield();
        }
        atomic_store(&gate, 1);
        finish(thread);
        CHECK_EQUAL(written, 1);
    }
}

static uint64_t id_in_drop;
static char name_in_drop[64];

static void look_around(void *value)
{
    (void)value;
    id_in_drop = ti_thread_id();
    CHECK_EQUAL(ti_current().id, id_in_drop);
    CHECK_EQUAL(ti_thread_name(ti_current(), name_in_drop, sizeof name_in_drop, NULL), TI_OK);
    CHECK_EQUAL(ti_unpark(ti_current()), TI_OK);
    ti_park();
}

TI_LOCAL(int, looker, TI_CONST(0), look_around);

static void *touch_looker(void *context)
{
    CHECK(looker_get() != NULL);
    return context;
}

static void thread_current_in_dtor(void)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "looks around at its end";
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, &options, touch_looker, NULL, &thread), TI_OK);
    uint64_t id = thread.id;
    finish(thread);
    CHECK_EQUAL(id_in_drop, id);
    CHECK_EQUAL(strcmp(name_in_drop, "looks around at its end"), 0);
}

static int lazy_calls;

static void make_seven(void *value)
{
    lazy_calls++;
    *(int *)value = 7;
}

TI_LOCAL(int, seven, TI_LAZY(make_seven), NULL);

static void a_lazy_value_is_made_at_first_use(void)
{
    CHECK_EQUAL(lazy_calls, 0);
    CHECK_EQUAL(*seven_get(), 7);
    CHECK_EQUAL(*seven_get(), 7);
    CHECK_EQUAL(lazy_calls, 1);
}

static void set_does_not_run_the_initialiser(void)
{
    CHECK_EQUAL(seven_set(8), TI_OK);
    CHECK_EQUAL(lazy_calls, 0);
    CHECK_EQUAL(*seven_get(), 8);
}

static void take_and_replace_move_values(void)
{
    int out = 0;
    CHECK_EQUAL(seven_replace(9, &out), TI_OK);
    CHECK_EQUAL(out, 7);
    CHECK_EQUAL(seven_take(&out), TI_OK);
    CHECK_EQUAL(out, 9);
    CHECK_EQUAL(*seven_get(), 0);
}

static _Atomic int drops;

static void *set_twice(void *context)
{
    CHECK_EQUAL(watched_set((struct signal){&drops}), TI_OK);
    CHECK_EQUAL(atomic_load(&drops), 0);
    CHECK_EQUAL(watched_set((struct signal){&drops}), TI_OK);
    CHECK_EQUAL(atomic_load(&drops), 1);
    return context;
}

static void set_drops_the_value_before(void)
{
    finish(start(set_twice, NULL));
    CHECK_EQUAL(atomic_load(&drops), 2);
}

static void nest(void *value);
static _Atomic int nested_drops[3];
struct nested {
    int level;
};

static void nested_drop(void *value)
{
    atomic_fetch_add(&nested_drops[((struct nested *)value)->level], 1);
}

TI_LOCAL(struct nested, nested, TI_LAZY(nest), nested_drop);

static int depth;

static void nest(void *value)
{
    if (depth++ == 0) {
        CHECK_EQUAL(nested_get()->level, 2); /* re-entered: the inner one makes the value first */
        ((struct nested *)value)->level = 1;
    } else {
        ((struct nested *)value)->level = 2;
    }
}

static void *use_nested(void *context)
{
    CHECK_EQUAL(nested_get()->level, 1);
    CHECK_EQUAL(atomic_load(&nested_drops[2]), 1);
    CHECK_EQUAL(atomic_load(&nested_drops[1]), 0);
    return context;
}

static void recursive_init_keeps_the_last_value(void)
{
    finish(start(use_nested, NULL));
    CHECK_EQUAL(atomic_load(&nested_drops[2]), 1);
    CHECK_EQUAL(atomic_load(&nested_drops[1]), 1);
}

static void read_while_lent(const int *value, void *context)
{
    CHECK_EQUAL(*value, 1);
    CHECK_EQUAL(plain_with_mut(NULL, NULL), TI_EBORROW);
    CHECK_EQUAL(plain_set(2), TI_EBORROW);
    int out = 0;
    CHECK_EQUAL(plain_take(&out), TI_EBORROW);
    CHECK_EQUAL(plain_replace(2, &out), TI_EBORROW);
    int *depth_left = context;
    if ((*depth_left)-- > 0) {
        CHECK_EQUAL(plain_with(read_while_lent, context), TI_OK); /* shared loans add up */
    }
}

static void write_while_lent(int *value, void *context)
{
    (void)context;
    *value = 4;
    CHECK_EQUAL(plain_with(NULL, NULL), TI_EBORROW);
    CHECK_EQUAL(plain_with_mut(NULL, NULL), TI_EBORROW);
}

static void loans_of_a_value(void)
{
    int levels = 3;
    CHECK_EQUAL(plain_with(read_while_lent, &levels), TI_OK);
    CHECK_EQUAL(plain_with_mut(write_while_lent, NULL), TI_OK);
    CHECK_EQUAL(*plain_get(), 4);
    CHECK_EQUAL(plain_set(5), TI_OK);
}

static void panic_while_lent(int *value, void *context)
{
    (void)value;
    (void)context;
    ti_panic("explicit panic");
}

static void lend_and_panic(void *context)
{
    (void)context;
    plain_with_mut(panic_while_lent, NULL);
}

static void a_panic_ends_the_loan(void)
{
    expect_panic(lend_and_panic, NULL);
    CHECK_EQUAL(plain_set(5), TI_OK);
}

/* The newest value ends first. */
static char order[8];
static void note_a(void *value)
{
    (void)value;
    strcat(order, "a");
}
static void note_b(void *value)
{
    (void)value;
    strcat(order, "b");
}
static void note_c(void *value)
{
    (void)value;
    strcat(order, "c");
}
TI_LOCAL(int, value_a, TI_CONST(0), note_a);
TI_LOCAL(int, value_b, TI_CONST(0), note_b);
TI_LOCAL(int, value_c, TI_CONST(0), note_c);

static void *touch_abc(void *context)
{
    value_a_get();
    value_b_get();
    value_c_get();
    return context;
}

static void destructors_run_newest_first(void)
{
    finish(start(touch_abc, NULL));
#ifdef TI_LOCAL_BY_KEY
    CHECK_EQUAL(strlen(order), 3); /* pthread gives its keys no order */
#else
    CHECK_EQUAL(strcmp(order, "cba"), 0);
#endif
}

struct wide {
    _Alignas(16) char bytes[100];
};

TI_LOCAL(struct wide, wide, TI_CONST({"wide"}), NULL);

static void *check_alignment(void *context)
{
    CHECK_EQUAL((uintptr_t)wide_get() % 16, 0);
    CHECK_EQUAL(strcmp(wide_get()->bytes, "wide"), 0);
    return context;
}

static void values_are_aligned(void)
{
    for (int i = 0; i < 5; i++) {
        finish(start(check_alignment, NULL));
    }
}

TEST_MAIN(TEST(smoke_no_dtor), TEST(states), TEST(smoke_dtor), TEST(circular), TEST(self_referential),
          TEST(dtors_in_dtors_in_dtors), TEST(join_orders_after_tls_destructors), TEST(thread_current_in_dtor),
          TEST(a_lazy_value_is_made_at_first_use), TEST(set_does_not_run_the_initialiser),
          TEST(take_and_replace_move_values), TEST(set_drops_the_value_before),
          TEST(recursive_init_keeps_the_last_value), TEST(loans_of_a_value), TEST(a_panic_ends_the_loan),
          TEST(destructors_run_newest_first), TEST(values_are_aligned))
