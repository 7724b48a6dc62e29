/* The condition variable. Names follow std::sync::condvar's tests where there is one. */
#include "threads.h"

struct pair {
    ti_mutex mutex;
    ti_condvar condvar;
    int value;
    int waiting;
};

static void smoke(void)
{
    ti_condvar condvar = TI_CONDVAR_INIT;
    ti_condvar_notify_one(&condvar);
    ti_condvar_notify_all(&condvar);
    CHECK_EQUAL(ti_condvar_destroy(&condvar), TI_OK);
}

static void *set_and_notify_one(void *context)
{
    struct pair *pair = context;
    TI_LOCK_GUARD(guard, &pair->mutex);
    pair->value = 1;
    ti_condvar_notify_one(&pair->condvar);
    return NULL;
}

static void notify_one(void)
{
    struct pair pair = {0};
    ti_lock(&pair.mutex);
    ti_thread other = start(set_and_notify_one, &pair);
    while (pair.value == 0) {
        CHECK_EQUAL(ti_condvar_wait(&pair.condvar, &pair.mutex), TI_OK);
        CHECK_EQUAL(ti_mutex_owner(&pair.mutex), ti_thread_id());
    }
    ti_unlock(&pair.mutex);
    finish(other);
}

enum {
    WAITERS = 5,
};

static void *wait_for_value(void *context)
{
    struct pair *pair = context;
    TI_LOCK_GUARD(guard, &pair->mutex);
    pair->waiting++;
    ti_condvar_notify_all(&pair->condvar);
    while (pair->value == 0) {
        CHECK_EQUAL(ti_condvar_wait(&pair->condvar, &pair->mutex), TI_OK);
    }
    return NULL;
}

static bool not_all_wait(void *context)
{
    struct pair *pair = context;
    return pair->waiting < WAITERS;
}

static void notify_all(void)
{
    struct pair pair = {0};
    ti_thread threads[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        threads[i] = start(wait_for_value, &pair);
    }
    ti_lock(&pair.mutex);
    CHECK_EQUAL(ti_condvar_wait_while(&pair.condvar, &pair.mutex, not_all_wait, &pair), TI_OK);
    pair.value = 1;
    ti_condvar_notify_all(&pair.condvar);
    ti_unlock(&pair.mutex);
    for (int i = 0; i < WAITERS; i++) {
        finish(threads[i]);
    }
}

static bool value_is_zero(void *context)
{
    struct pair *pair = context;
    CHECK_EQUAL(ti_mutex_owner(&pair->mutex), ti_thread_id());
    return pair->value == 0;
}

static void wait_while(void)
{
    struct pair pair = {0};
    ti_lock(&pair.mutex);
    ti_thread other = start(set_and_notify_one, &pair);
    CHECK_EQUAL(ti_condvar_wait_while(&pair.condvar, &pair.mutex, value_is_zero, &pair), TI_OK);
    CHECK_EQUAL(pair.value, 1);
    ti_unlock(&pair.mutex);
    finish(other);
}

static void wait_timeout_wait(void)
{
    struct pair pair = {0};
    ti_lock(&pair.mutex);
    for (;;) { /* spurious wake-ups are allowed */
        uint64_t before = ti_now();
        bool timed_out = false;
        CHECK_EQUAL(ti_condvar_wait_until(&pair.condvar, &pair.mutex, ti_deadline_after(MILLISECOND), &timed_out),
                    TI_OK);
        CHECK_EQUAL(ti_mutex_owner(&pair.mutex), ti_thread_id());
        if (timed_out) {
            CHECK(ti_now() - before >= MILLISECOND);
            break;
        }
    }
    ti_unlock(&pair.mutex);
}

static bool always(void *context)
{
    (void)context;
    return true;
}

static void wait_timeout_while_wait(void)
{
    struct pair pair = {0};
    bool timed_out = false;
    ti_lock(&pair.mutex);
    CHECK_EQUAL(ti_condvar_wait_while_until(&pair.condvar, &pair.mutex, ti_deadline_after(MILLISECOND), always, NULL,
                                            &timed_out),
                TI_OK);
    CHECK(timed_out);
    ti_unlock(&pair.mutex);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void wait_timeout_while_instant_satisfy(void)
{
    struct pair pair = {0};
    bool timed_out = true;
    ti_lock(&pair.mutex);
    CHECK_EQUAL(ti_condvar_wait_while_until(&pair.condvar, &pair.mutex, 0, never, NULL, &timed_out), TI_OK);
    CHECK(!timed_out); /* the condition was looked at before the clock */
    ti_unlock(&pair.mutex);
}

static void wait_timeout_while_wake(void)
{
    struct pair pair = {0};
    bool timed_out = true;
    ti_lock(&pair.mutex);
    ti_thread other = start(set_and_notify_one, &pair);
    CHECK_EQUAL(ti_condvar_wait_while_until(&pair.condvar, &pair.mutex, ti_deadline_after(UINT64_MAX), value_is_zero,
                                            &pair, &timed_out),
                TI_OK);
    CHECK(!timed_out);
    CHECK_EQUAL(pair.value, 1);
    ti_unlock(&pair.mutex);
    finish(other);
}

/* A notification after the condition became true but before the waiter slept must not be lost. */
static void *ping(void *context)
{
    struct pair *pair = context;
    for (int i = 0; i < 5000; i++) {
        ti_lock(&pair->mutex);
        while (pair->value % 2 == 0) {
            ti_condvar_wait(&pair->condvar, &pair->mutex);
        }
        pair->value++;
        ti_condvar_notify_one(&pair->condvar);
        ti_unlock(&pair->mutex);
    }
    return NULL;
}

static void no_notification_is_lost(void)
{
    struct pair pair = {0};
    ti_thread other = start(ping, &pair);
    for (int i = 0; i < 5000; i++) {
        ti_lock(&pair.mutex);
        while (pair.value % 2 == 1) {
            ti_condvar_wait(&pair.condvar, &pair.mutex);
        }
        pair.value++;
        ti_condvar_notify_one(&pair.condvar);
        ti_unlock(&pair.mutex);
    }
    finish(other);
    CHECK_EQUAL(pair.value, 10000);
}

static void *poison(void *context)
{
    struct pair *pair = context;
    TI_LOCK_GUARD(guard, &pair->mutex);
    ti_condvar_notify_all(&pair->condvar);
    ti_panic("explicit panic");
}

static void a_wait_ends_by_poison(void)
{
    struct pair pair = {0};
    ti_set_panic_hook(quiet);
    ti_lock(&pair.mutex);
    ti_thread other = start(poison, &pair);
    CHECK_EQUAL(ti_condvar_wait_while(&pair.condvar, &pair.mutex, value_is_zero, &pair), TI_EPOISONED);
    CHECK_EQUAL(ti_unlock(&pair.mutex), TI_OK);
    finish_panicked(other);
}

static void waiting_without_the_mutex_is_misuse(void)
{
    struct pair pair = {0};
    CHECK_EQUAL(ti_condvar_wait(&pair.condvar, &pair.mutex), TI_EPERM);
}

static void a_waiter_stands_in_the_registry(void)
{
    struct pair pair = {0};
    CHECK_EQUAL(ti_condvar_init(&pair.condvar, "full"), TI_OK);
    ti_thread waiter = start(wait_for_value, &pair);
    await_sleeping(waiter, TI_WAIT_CONDVAR, &pair.condvar);
    CHECK_EQUAL(ti_get(pair.condvar.record->waiters), 1);
    CHECK_EQUAL(ti_get(ti_thread_find(waiter)->state), TI_STATE_BLOCKED);
    ti_lock(&pair.mutex);
    pair.value = 1;
    ti_condvar_notify_one(&pair.condvar);
    ti_unlock(&pair.mutex);
    finish(waiter);
    CHECK_EQUAL(ti_get(pair.condvar.record->waiters), 0);
    CHECK_EQUAL(ti_condvar_destroy(&pair.condvar), TI_OK);
}

TEST_MAIN(TEST(smoke), TEST(notify_one), TEST(notify_all), TEST(wait_while), TEST(wait_timeout_wait),
          TEST(wait_timeout_while_wait), TEST(wait_timeout_while_instant_satisfy), TEST(wait_timeout_while_wake),
          TEST(no_notification_is_lost), TEST(a_wait_ends_by_poison), TEST(waiting_without_the_mutex_is_misuse),
          TEST(a_waiter_stands_in_the_registry))
