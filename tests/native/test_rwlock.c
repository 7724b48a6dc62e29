/* The reader-writer lock. Names follow std::sync::rwlock's tests where there is one. */
#include "threads.h"

static void smoke(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_destroy(&lock), TI_OK);
}

enum {
    FROB_THREADS = 10,
    FROB_ROUNDS = 1000,
};

struct shared {
    ti_rwlock lock;
    long value;
    long twin; /* equal to value whenever nobody writes */
    _Atomic int seed;
};

static void *frob_once(void *context)
{
    struct shared *shared = context;
    unsigned random = 7919u * (unsigned)atomic_fetch_add(&shared->seed, 1) + 1;
    for (int i = 0; i < FROB_ROUNDS; i++) {
        random = random * 1103515245u + 12345u;
        if ((random >> 16) % FROB_THREADS == 0) {
            CHECK_EQUAL(ti_rwlock_write(&shared->lock), TI_OK);
            shared->value++;
            shared->twin++;
            CHECK_EQUAL(ti_rwlock_write_unlock(&shared->lock), TI_OK);
        } else {
            CHECK_EQUAL(ti_rwlock_read(&shared->lock), TI_OK);
            CHECK_EQUAL(shared->value, shared->twin);
            CHECK_EQUAL(ti_rwlock_read_unlock(&shared->lock), TI_OK);
        }
    }
    return NULL;
}

static void run_all(ti_thread_function function, struct shared *shared)
{
    ti_thread threads[FROB_THREADS];
    for (int i = 0; i < FROB_THREADS; i++) {
        threads[i] = start(function, shared);
    }
    for (int i = 0; i < FROB_THREADS; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(ti_get(shared->lock.state), 0);
}

static void frob(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    run_all(frob_once, &shared);
}

/* Timeouts, downgrades and plain use in any mixture leave nobody behind. */
static void *frob_with_deadlines(void *context)
{
    struct shared *shared = context;
    unsigned random = 104729u * (unsigned)atomic_fetch_add(&shared->seed, 1) + 1;
    for (int i = 0; i < FROB_ROUNDS; i++) {
        random = random * 1103515245u + 12345u;
        unsigned pick = (random >> 16) % 8;
        if (pick == 0) {
            CHECK_EQUAL(ti_rwlock_write(&shared->lock), TI_OK);
            shared->value++;
            shared->twin++;
            CHECK_EQUAL(ti_rwlock_downgrade(&shared->lock), TI_OK);
            CHECK_EQUAL(shared->value, shared->twin);
            CHECK_EQUAL(ti_rwlock_read_unlock(&shared->lock), TI_OK);
        } else if (pick <= 3) {
            if (ti_rwlock_write_until(&shared->lock, ti_deadline_after(random % 20000)) == TI_OK) {
                shared->value++;
                shared->twin++;
                CHECK_EQUAL(ti_rwlock_write_unlock(&shared->lock), TI_OK);
            }
        } else if (ti_rwlock_read_until(&shared->lock, pick < 6 ? TI_FOREVER : ti_deadline_after(random % 20000)) ==
                   TI_OK) {
            CHECK_EQUAL(shared->value, shared->twin);
            CHECK_EQUAL(ti_rwlock_read_unlock(&shared->lock), TI_OK);
        }
    }
    return NULL;
}

static void frob_deadlines_and_downgrades(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    ti_thread threads[FROB_THREADS];
    for (int i = 0; i < FROB_THREADS; i++) {
        threads[i] = start(frob_with_deadlines, &shared);
    }
    for (int i = 0; i < FROB_THREADS; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(ti_rwlock_write(&shared.lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write_unlock(&shared.lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_try_read(&shared.lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&shared.lock), TI_OK);
}

static void write_unlock_cleanup(ti_rwlock **lock)
{
    ti_rwlock_write_unlock(*lock);
}

static void read_unlock_cleanup(ti_rwlock **lock)
{
    ti_rwlock_read_unlock(*lock);
}

static void panic_writing(void *context)
{
    ti_rwlock *lock __attribute__((cleanup(write_unlock_cleanup))) = context;
    ti_rwlock_write(lock);
    ti_panic("explicit panic");
}

static void panic_reading(void *context)
{
    ti_rwlock *lock __attribute__((cleanup(read_unlock_cleanup))) = context;
    ti_rwlock_read(lock);
    ti_panic("explicit panic");
}

static void test_rw_arc_poison_wr(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    expect_panic(panic_writing, &lock);
    CHECK(ti_rwlock_is_poisoned(&lock));
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_EPOISONED);
    CHECK_EQUAL(ti_rwlock_try_read(&lock), TI_EPOISONED);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
}

static void test_rw_arc_poison_ww(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    expect_panic(panic_writing, &lock);
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_EPOISONED);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
    ti_rwlock_clear_poison(&lock);
    CHECK_EQUAL(ti_rwlock_try_write(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
}

static void test_rw_arc_no_poison_rr(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    expect_panic(panic_reading, &lock);
    CHECK(!ti_rwlock_is_poisoned(&lock));
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
}

static void test_rw_arc_no_poison_rw(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    expect_panic(panic_reading, &lock);
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
}

static void write_in_cleanup(struct shared **shared)
{
    CHECK_EQUAL(ti_rwlock_write(&(*shared)->lock), TI_OK);
    (*shared)->value++;
    CHECK_EQUAL(ti_rwlock_write_unlock(&(*shared)->lock), TI_OK);
}

static void unwind_through_a_write(void *context)
{
    struct shared *shared __attribute__((cleanup(write_in_cleanup))) = context;
    ti_panic("explicit panic");
}

static void test_rw_arc_access_in_unwind(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 1, 0, 0};
    expect_panic(unwind_through_a_write, &shared);
    CHECK_EQUAL(shared.value, 2);
    CHECK(!ti_rwlock_is_poisoned(&shared.lock));
}

static void test_rwlock_try_read(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    ti_rwlock_write(&lock);
    CHECK_EQUAL(ti_rwlock_try_read(&lock), TI_EBUSY);
    ti_rwlock_write_unlock(&lock);
    CHECK_EQUAL(ti_rwlock_try_read(&lock), TI_OK);
    ti_rwlock_read_unlock(&lock);
}

static void test_rwlock_try_write(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    ti_rwlock_read(&lock);
    CHECK_EQUAL(ti_rwlock_try_write(&lock), TI_EBUSY);
    ti_rwlock_read_unlock(&lock);
    CHECK_EQUAL(ti_rwlock_try_write(&lock), TI_OK);
    ti_rwlock_write_unlock(&lock);
}

static void downgrade_basic(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_downgrade(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_try_write(&lock), TI_EBUSY);
    CHECK_EQUAL(ti_rwlock_try_read(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_downgrade(&lock), TI_EPERM);
}

static void *read_value(void *context)
{
    struct shared *shared = context;
    CHECK_EQUAL(ti_rwlock_read(&shared->lock), TI_OK);
    CHECK_EQUAL(shared->value, 42);
    CHECK_EQUAL(ti_rwlock_read_unlock(&shared->lock), TI_OK);
    return NULL;
}

static void downgrade_observe(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    ti_thread readers[4];
    ti_rwlock_write(&shared.lock);
    for (int i = 0; i < 4; i++) {
        readers[i] = start(read_value, &shared);
        await_sleeping(readers[i], TI_WAIT_RWLOCK_READ, &shared.lock);
    }
    shared.value = 42;
    CHECK_EQUAL(ti_rwlock_downgrade(&shared.lock), TI_OK);
    for (int i = 0; i < 4; i++) { /* they read while this thread still does */
        finish(readers[i]);
    }
    CHECK_EQUAL(ti_rwlock_read_unlock(&shared.lock), TI_OK);
}

static void *write_value(void *context)
{
    struct shared *shared = context;
    CHECK_EQUAL(ti_rwlock_write(&shared->lock), TI_OK);
    shared->value = 42;
    CHECK_EQUAL(ti_rwlock_write_unlock(&shared->lock), TI_OK);
    return NULL;
}

/* Between a downgrade and the reading that follows nobody writes, though a writer waits. */
static void downgrade_atomic(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    ti_rwlock_write(&shared.lock);
    ti_thread writer = start(write_value, &shared);
    await_sleeping(writer, TI_WAIT_RWLOCK_WRITE, &shared.lock);
    shared.value = 1;
    CHECK_EQUAL(ti_rwlock_downgrade(&shared.lock), TI_OK);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(shared.value, 1);
        sched_yield();
    }
    CHECK_EQUAL(ti_rwlock_read_unlock(&shared.lock), TI_OK);
    finish(writer);
    CHECK_EQUAL(shared.value, 42);
}

static void writers_go_first(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    ti_rwlock_read(&shared.lock);
    ti_thread writer = start(write_value, &shared);
    await_sleeping(writer, TI_WAIT_RWLOCK_WRITE, &shared.lock);
    CHECK_EQUAL(ti_rwlock_try_read(&shared.lock), TI_EBUSY); /* though only readers hold it */
    ti_thread reader = start(read_value, &shared);           /* and sees what the writer wrote */
    await_sleeping(reader, TI_WAIT_RWLOCK_READ, &shared.lock);
    ti_rwlock_read_unlock(&shared.lock);
    finish(writer);
    finish(reader);
}

static _Atomic bool a_reader_waits;

/* Again and again: on a busy machine a single wait may be over before anybody has seen it. */
static void *give_up_writing(void *context)
{
    struct shared *shared = context;
    do {
        CHECK_EQUAL(ti_rwlock_write_until(&shared->lock, ti_deadline_after(20 * MILLISECOND)), TI_ETIMEDOUT);
    } while (!atomic_load(&a_reader_waits));
    return NULL;
}

static void *read_any(void *context)
{
    struct shared *shared = context;
    CHECK_EQUAL(ti_rwlock_read(&shared->lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&shared->lock), TI_OK);
    return NULL;
}

/* A writer that gives up must not leave readers waiting behind nobody. */
static void a_writer_that_gives_up_lets_readers_in(void)
{
    struct shared shared = {TI_RWLOCK_INIT, 0, 0, 0};
    ti_rwlock_read(&shared.lock);
    ti_thread writer = start(give_up_writing, &shared);
    await_sleeping(writer, TI_WAIT_RWLOCK_WRITE, &shared.lock);
    ti_thread reader = start(read_any, &shared);
    while (ti_get(ti_thread_find(reader)->wait_kind) != TI_WAIT_RWLOCK_READ && !ti_is_finished(reader)) {
        sched_yield();
    }
    atomic_store(&a_reader_waits, true);
    finish(writer);
    finish(reader); /* while this thread still reads */
    CHECK_EQUAL(ti_rwlock_try_read(&shared.lock), TI_OK);
    ti_rwlock_read_unlock(&shared.lock);
    ti_rwlock_read_unlock(&shared.lock);
}

static void misuse_is_a_status(void)
{
    ti_set_checked(true, keep_report);
    ti_rwlock lock = TI_RWLOCK_INIT;
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_EPERM);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_EPERM);
    ti_rwlock_write(&lock);
    CHECK_EQUAL(ti_rwlock_write(&lock), TI_EDEADLK);
    CHECK(strstr(last_report, "written again") != NULL);
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_EDEADLK);
    CHECK_EQUAL(ti_rwlock_read_unlock(&lock), TI_EPERM);
    CHECK_EQUAL(ti_rwlock_destroy(&lock), TI_EBUSY);
    CHECK_EQUAL(ti_rwlock_write_unlock(&lock), TI_OK);
    CHECK_EQUAL(ti_rwlock_destroy(&lock), TI_OK);
}

static void too_many_readers_is_an_overflow(void)
{
    ti_rwlock lock = TI_RWLOCK_INIT;
    ti_set(lock.state, (1u << 30) - 2);
    CHECK_EQUAL(ti_rwlock_try_read(&lock), TI_EOVERFLOW);
    CHECK_EQUAL(ti_rwlock_read(&lock), TI_EOVERFLOW);
}

TEST_MAIN(TEST(smoke), TEST(frob), TEST(frob_deadlines_and_downgrades), TEST(test_rw_arc_poison_wr),
          TEST(test_rw_arc_poison_ww), TEST(test_rw_arc_no_poison_rr), TEST(test_rw_arc_no_poison_rw),
          TEST(test_rw_arc_access_in_unwind), TEST(test_rwlock_try_read), TEST(test_rwlock_try_write),
          TEST(downgrade_basic), TEST(downgrade_observe), TEST(downgrade_atomic), TEST(writers_go_first),
          TEST(a_writer_that_gives_up_lets_readers_in), TEST(misuse_is_a_status), TEST(too_many_readers_is_an_overflow))
