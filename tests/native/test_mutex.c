/* The mutex. Names follow std::sync::mutex's tests where there is one. */
#include "threads.h"

static void smoke(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    CHECK_EQUAL(ti_mutex_owner(&mutex), ti_thread_id());
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK_EQUAL(ti_mutex_owner(&mutex), 0);
    CHECK_EQUAL(ti_mutex_destroy(&mutex), TI_OK);
}

enum {
    LOCKS = 1000,
    THREADS = 3,
};

struct counter {
    ti_mutex mutex;
    long value;
};

static void *count_up(void *context)
{
    struct counter *counter = context;
    for (int i = 0; i < LOCKS; i++) {
        CHECK_EQUAL(ti_lock(&counter->mutex), TI_OK);
        counter->value++;
        CHECK_EQUAL(ti_unlock(&counter->mutex), TI_OK);
    }
    return NULL;
}

static void lots_and_lots(void)
{
    struct counter counter = {TI_MUTEX_INIT, 0};
    ti_thread threads[2 * THREADS];
    for (int i = 0; i < 2 * THREADS; i++) {
        threads[i] = start(count_up, &counter);
    }
    for (int i = 0; i < 2 * THREADS; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(counter.value, LOCKS * THREADS * 2);
}

static void *count_up_with_deadlines(void *context)
{
    struct counter *counter = context;
    for (int i = 0; i < LOCKS; i++) {
        ti_status status;
        do {
            status = ti_lock_until(&counter->mutex, ti_deadline_after(1000));
        } while (status == TI_ETIMEDOUT);
        CHECK_EQUAL(status, TI_OK);
        counter->value++;
        CHECK_EQUAL(ti_unlock(&counter->mutex), TI_OK);
    }
    return NULL;
}

static void lots_with_deadlines(void)
{
    struct counter counter = {TI_MUTEX_INIT, 0};
    ti_thread threads[2 * THREADS];
    for (int i = 0; i < 2 * THREADS; i++) {
        threads[i] = start(i % 2 == 0 ? count_up : count_up_with_deadlines, &counter);
    }
    for (int i = 0; i < 2 * THREADS; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(counter.value, LOCKS * THREADS * 2);
}

static void *lock_and_unlock(void *context)
{
    ti_mutex *mutex = context;
    CHECK_EQUAL(ti_lock(mutex), TI_OK);
    CHECK_EQUAL(ti_unlock(mutex), TI_OK);
    return NULL;
}

static void try_lock(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    CHECK_EQUAL(ti_try_lock(&mutex), TI_OK);
    CHECK_EQUAL(ti_try_lock(&mutex), TI_EBUSY);
    ti_thread sleeper = start(lock_and_unlock, &mutex);
    await_sleeping(sleeper, TI_WAIT_MUTEX, &mutex);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    finish(sleeper);
}

static void *lock_with_deadline(void *context)
{
    ti_mutex *mutex = context;
    uint64_t before = ti_now();
    CHECK_EQUAL(ti_lock_until(mutex, ti_deadline_after(5 * MILLISECOND)), TI_ETIMEDOUT);
    CHECK(ti_now() - before >= 5 * MILLISECOND);
    CHECK_EQUAL(ti_lock_until(mutex, 0), TI_ETIMEDOUT);
    return NULL;
}

static void lock_until_gives_up_at_the_deadline(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    ti_lock(&mutex);
    finish(start(lock_with_deadline, &mutex));
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK_EQUAL(ti_lock_until(&mutex, 0), TI_OK); /* a free lock is taken even when it is too late to wait */
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void *panic_holding(void *context)
{
    TI_LOCK_GUARD(guard, (ti_mutex *)context);
    ti_panic("explicit panic");
}

static void panic_holding_here(void *context)
{
    panic_holding(context);
}

static void test_mutex_arc_poison(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    CHECK(!ti_mutex_is_poisoned(&mutex));
    ti_set_panic_hook(quiet);
    finish_panicked(start(panic_holding, &mutex));
    CHECK(ti_mutex_is_poisoned(&mutex));
    CHECK_EQUAL(ti_lock(&mutex), TI_EPOISONED);
    CHECK_EQUAL(ti_mutex_owner(&mutex), ti_thread_id()); /* it is held all the same */
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK_EQUAL(ti_lock_until(&mutex, TI_FOREVER), TI_EPOISONED);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void try_lock_tells_busy_from_poisoned(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    expect_panic(panic_holding_here, &mutex);
    CHECK_EQUAL(ti_try_lock(&mutex), TI_EPOISONED);
    CHECK_EQUAL(ti_try_lock(&mutex), TI_EBUSY);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void clear_poison(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    expect_panic(panic_holding_here, &mutex);
    CHECK_EQUAL(ti_lock(&mutex), TI_EPOISONED);
    ti_mutex_clear_poison(&mutex);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK(!ti_mutex_is_poisoned(&mutex));
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void lock_in_cleanup(struct counter **counter)
{
    CHECK(ti_panicking());
    TI_LOCK_GUARD(guard, &(*counter)->mutex);
    CHECK_EQUAL(guard.status, TI_OK);
    (*counter)->value++;
}

static void unwind_through_a_lock(void *context)
{
    struct counter *counter __attribute__((cleanup(lock_in_cleanup))) = context;
    ti_panic("explicit panic");
}

static void test_mutex_arc_access_in_unwind(void)
{
    struct counter counter = {TI_MUTEX_INIT, 1};
    expect_panic(unwind_through_a_lock, &counter);
    CHECK_EQUAL(counter.value, 2);
    CHECK(!ti_mutex_is_poisoned(&counter.mutex)); /* it was taken by a thread that was unwinding already */
    CHECK_EQUAL(ti_lock(&counter.mutex), TI_OK);
    CHECK_EQUAL(ti_unlock(&counter.mutex), TI_OK);
}

static void test_mutex_arc_nested(void)
{
    ti_mutex inner = TI_MUTEX_INIT;
    ti_mutex outer = TI_MUTEX_INIT;
    TI_LOCK_GUARD(one, &outer);
    TI_LOCK_GUARD(two, &inner);
    CHECK_EQUAL(one.status, TI_OK);
    CHECK_EQUAL(two.status, TI_OK);
}

static void a_guard_without_the_lock_unlocks_nothing(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    {
        TI_LOCK_GUARD(guard, &mutex);
        CHECK_EQUAL(guard.status, TI_EDEADLK);
    }
    CHECK_EQUAL(ti_mutex_owner(&mutex), ti_thread_id());
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
}

static void *unlock_only(void *context)
{
    CHECK_EQUAL(ti_unlock(context), TI_EPERM);
    return NULL;
}

static void misuse_is_a_status(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    CHECK_EQUAL(ti_unlock(&mutex), TI_EPERM);
    CHECK_EQUAL(ti_lock(&mutex), TI_OK);
    CHECK_EQUAL(ti_lock(&mutex), TI_EDEADLK);
    CHECK_EQUAL(ti_lock_until(&mutex, TI_FOREVER), TI_EDEADLK);
    CHECK_EQUAL(ti_mutex_destroy(&mutex), TI_EBUSY);
    finish(start(unlock_only, &mutex));
    CHECK_EQUAL(ti_unlock(&mutex), TI_OK);
    CHECK_EQUAL(ti_mutex_destroy(&mutex), TI_OK);
}

static void *unlock_checked(void *context)
{
    CHECK_EQUAL(ti_unlock(context), TI_EPERM);
    CHECK_EQUAL(last_misuse, TI_EPERM);
    CHECK(strstr(last_report, "someone else's mutex") != NULL);
    return NULL;
}

static void checked_mode_says_who_and_where(void)
{
    ti_set_checked(true, keep_report);
    ti_mutex mutex = TI_MUTEX_INIT;
    ti_unlock(&mutex);
    CHECK_EQUAL(last_misuse, TI_EPERM);
    CHECK(strstr(last_report, "unlocking an unlocked mutex") != NULL);

    ti_lock(&mutex);
    char site[64];
    snprintf(site, sizeof site, "taken at %#lx", (unsigned long)ti_get(mutex.holder.site));
    ti_lock(&mutex);
    CHECK_EQUAL(last_misuse, TI_EDEADLK);
    CHECK(strstr(last_report, "locked again") != NULL);
    CHECK(strstr(last_report, site) != NULL);

    ti_mutex_destroy(&mutex);
    CHECK_EQUAL(last_misuse, TI_EBUSY);
    CHECK(strstr(last_report, "destroying a held mutex") != NULL);
    finish(start(unlock_checked, &mutex));
    ti_unlock(&mutex);
    ti_set_checked(false, NULL);
}

static void a_named_lock_stands_in_the_registry(void)
{
    ti_mutex mutex;
    CHECK_EQUAL(ti_mutex_init(&mutex, "ledger"), TI_OK);
    struct ti_lock_record *record = mutex.holder.record;
    CHECK(record != NULL);
    CHECK_EQUAL(ti_get(record->address), (uintptr_t)&mutex);
    CHECK_EQUAL(ti_get(record->kind), TI_LOCK_MUTEX);
    CHECK_EQUAL(ti_get(record->owner), 0);
    ti_lock(&mutex);
    CHECK_EQUAL(ti_get(record->owner), ti_thread_id());
    ti_thread sleeper = start(lock_and_unlock, &mutex);
    await_sleeping(sleeper, TI_WAIT_MUTEX, &mutex);
    CHECK_EQUAL(ti_get(record->waiters), 1);
    ti_unlock(&mutex);
    finish(sleeper);
    CHECK_EQUAL(ti_get(record->waiters), 0);
    CHECK_EQUAL(ti_get(record->owner), 0);
    expect_panic(panic_holding_here, &mutex);
    CHECK_EQUAL(ti_get(record->poisoned), 1);
    ti_mutex_clear_poison(&mutex);
    CHECK_EQUAL(ti_get(record->poisoned), 0);
    CHECK_EQUAL(ti_mutex_destroy(&mutex), TI_OK);
    CHECK_EQUAL(ti_get(record->slot.id), 0);
}

TEST_MAIN(TEST(smoke), TEST(lots_and_lots), TEST(lots_with_deadlines), TEST(try_lock),
          TEST(lock_until_gives_up_at_the_deadline), TEST(test_mutex_arc_poison),
          TEST(try_lock_tells_busy_from_poisoned), TEST(clear_poison), TEST(test_mutex_arc_access_in_unwind),
          TEST(test_mutex_arc_nested), TEST(a_guard_without_the_lock_unlocks_nothing), TEST(misuse_is_a_status),
          TEST(checked_mode_says_who_and_where), TEST(a_named_lock_stands_in_the_registry))
