/* The reentrant lock. Names follow std::sync::reentrant_lock's tests where there is one. */
#include "threads.h"

static void smoke(void)
{
    ti_reentrant lock = TI_REENTRANT_INIT;
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(ti_reentrant_lock(&lock), TI_OK);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(ti_reentrant_unlock(&lock), TI_OK);
    }
    CHECK_EQUAL(ti_reentrant_unlock(&lock), TI_EPERM);
    CHECK_EQUAL(ti_reentrant_destroy(&lock), TI_OK);
}

struct guarded {
    ti_reentrant lock;
    int value;
};

static void *see_value(void *context)
{
    struct guarded *guarded = context;
    CHECK_EQUAL(ti_reentrant_lock(&guarded->lock), TI_OK);
    CHECK_EQUAL(guarded->value, 4950);
    CHECK_EQUAL(ti_reentrant_unlock(&guarded->lock), TI_OK);
    return NULL;
}

static void is_mutex(void)
{
    struct guarded guarded = {TI_REENTRANT_INIT, 0};
    CHECK_EQUAL(ti_reentrant_lock(&guarded.lock), TI_OK);
    ti_thread other = start(see_value, &guarded);
    await_sleeping(other, TI_WAIT_REENTRANT, &guarded.lock);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(ti_reentrant_lock(&guarded.lock), TI_OK);
        guarded.value += i;
        CHECK_EQUAL(ti_reentrant_unlock(&guarded.lock), TI_OK);
    }
    CHECK_EQUAL(ti_reentrant_unlock(&guarded.lock), TI_OK);
    finish(other);
}

static void *try_from_elsewhere(void *context)
{
    CHECK_EQUAL(ti_reentrant_try_lock(context), TI_EBUSY);
    CHECK_EQUAL(ti_reentrant_lock_until(context, ti_deadline_after(MILLISECOND)), TI_ETIMEDOUT);
    CHECK_EQUAL(ti_reentrant_unlock(context), TI_EPERM);
    return NULL;
}

static void trylock_works(void)
{
    ti_reentrant lock = TI_REENTRANT_INIT;
    CHECK_EQUAL(ti_reentrant_try_lock(&lock), TI_OK);
    CHECK_EQUAL(ti_reentrant_try_lock(&lock), TI_OK);
    finish(start(try_from_elsewhere, &lock));
    CHECK_EQUAL(ti_reentrant_destroy(&lock), TI_EBUSY);
    CHECK_EQUAL(ti_reentrant_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_reentrant_unlock(&lock), TI_OK);
}

static void too_deep_is_an_overflow(void)
{
    ti_reentrant lock = TI_REENTRANT_INIT;
    ti_reentrant_lock(&lock);
    lock.depth = UINT32_MAX;
    CHECK_EQUAL(ti_reentrant_lock(&lock), TI_EOVERFLOW);
    CHECK_EQUAL(ti_reentrant_try_lock(&lock), TI_EOVERFLOW);
    CHECK_EQUAL(lock.depth, UINT32_MAX);
}

TEST_MAIN(TEST(smoke), TEST(is_mutex), TEST(trylock_works), TEST(too_deep_is_an_overflow))
