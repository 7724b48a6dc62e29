/* The barrier. Names follow std::sync::barrier's tests where there is one. */
#include "threads.h"

struct gate {
    ti_barrier barrier;
    _Atomic int leaders;
    _Atomic int passed;
    int rounds;
};

static void *pass(void *context)
{
    struct gate *gate = context;
    for (int i = 0; i < gate->rounds; i++) {
        atomic_fetch_add(&gate->leaders, ti_barrier_wait(&gate->barrier));
        atomic_fetch_add(&gate->passed, 1);
    }
    return NULL;
}

static void test_barrier(void)
{
    enum {
        COUNT = 10,
    };
    struct gate gate = {TI_BARRIER_INIT(COUNT), 0, 0, 1};
    ti_thread threads[COUNT - 1];
    for (int i = 0; i < COUNT - 1; i++) {
        threads[i] = start(pass, &gate);
    }
    for (int i = 0; i < COUNT - 1; i++) {
        await_sleeping(threads[i], TI_WAIT_BARRIER, &gate.barrier);
    }
    CHECK_EQUAL(atomic_load(&gate.passed), 0); /* one is missing */
    CHECK(ti_barrier_wait(&gate.barrier));
    for (int i = 0; i < COUNT - 1; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(atomic_load(&gate.leaders), 0); /* the last to come was the leader */
    CHECK_EQUAL(ti_barrier_destroy(&gate.barrier), TI_OK);
}

static void one_leader_per_generation(void)
{
    enum {
        COUNT = 4,
        ROUNDS = 2000,
    };
    struct gate gate = {TI_BARRIER_INIT(COUNT), 0, 0, ROUNDS};
    ti_thread threads[COUNT];
    for (int i = 0; i < COUNT; i++) {
        threads[i] = start(pass, &gate);
    }
    for (int i = 0; i < COUNT; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(atomic_load(&gate.leaders), ROUNDS);
}

enum {
    CROWD = 6,
    CROWD_ROUNDS = 3000,
};

static void *pass_until_enough(void *context)
{
    struct gate *gate = context;
    do {
        atomic_fetch_add(&gate->leaders, ti_barrier_wait(&gate->barrier));
        atomic_fetch_add(&gate->passed, 1);
    } while (atomic_load(&gate->leaders) < CROWD_ROUNDS);
    return NULL;
}

static int count_finished(const ti_thread *threads)
{
    int finished = 0;
    for (int i = 0; i < CROWD; i++) {
        finished += ti_is_finished(threads[i]);
    }
    return finished;
}

/* More threads than the count: every arrival belongs to exactly one generation. */
static void more_threads_than_the_count(void)
{
    struct gate gate = {TI_BARRIER_INIT(2), 0, 0, 0};
    ti_thread threads[CROWD];
    for (int i = 0; i < CROWD; i++) {
        threads[i] = start(pass_until_enough, &gate);
    }
    while (count_finished(threads) < CROWD - 1) {
        sched_yield();
    }
    while (count_finished(threads) < CROWD) {
        if ((uint32_t)ti_get(gate.barrier.state) == 1) { /* the last one waits, alone for good */
            atomic_fetch_add(&gate.leaders, ti_barrier_wait(&gate.barrier));
            atomic_fetch_add(&gate.passed, 1);
        }
        sched_yield();
    }
    for (int i = 0; i < CROWD; i++) {
        finish(threads[i]);
    }
    CHECK_EQUAL(atomic_load(&gate.leaders) * 2, atomic_load(&gate.passed));
}

static void a_count_of_zero_is_one(void)
{
    ti_barrier barrier;
    CHECK_EQUAL(ti_barrier_init(&barrier, 0, NULL), TI_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(ti_barrier_wait(&barrier));
    }
    CHECK_EQUAL(ti_barrier_init(&barrier, 1, NULL), TI_OK);
    CHECK(ti_barrier_wait(&barrier));
}

struct relay {
    ti_barrier barrier;
    int parts[3];
};

static void *write_part(void *context)
{
    struct relay *relay = context;
    relay->parts[1] = 7;
    ti_barrier_wait(&relay->barrier);
    CHECK_EQUAL(relay->parts[0] + relay->parts[1], 12);
    return NULL;
}

static void what_came_before_is_seen_after(void)
{
    for (int i = 0; i < 200; i++) {
        struct relay relay = {TI_BARRIER_INIT(2), {0}};
        ti_thread other = start(write_part, &relay);
        relay.parts[0] = 5;
        ti_barrier_wait(&relay.barrier);
        CHECK_EQUAL(relay.parts[0] + relay.parts[1], 12);
        finish(other);
    }
}

static void destroying_one_in_use_is_misuse(void)
{
    struct gate gate = {TI_BARRIER_INIT(2), 0, 0, 1};
    ti_thread other = start(pass, &gate);
    await_sleeping(other, TI_WAIT_BARRIER, &gate.barrier);
    CHECK_EQUAL(ti_barrier_destroy(&gate.barrier), TI_EBUSY);
    CHECK(ti_barrier_wait(&gate.barrier));
    finish(other);
}

TEST_MAIN(TEST(test_barrier), TEST(one_leader_per_generation), TEST(more_threads_than_the_count),
          TEST(a_count_of_zero_is_one), TEST(what_came_before_is_seen_after), TEST(destroying_one_in_use_is_misuse))
