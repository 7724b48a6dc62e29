/* Parking. Names follow std::thread's tests where there is one. */
#include "threads.h"

static void test_park_unpark_before(void)
{
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(ti_unpark(ti_current()), TI_OK);
        ti_park();
    }
}

struct meeting {
    ti_thread other;
    int written;
};

static void *wake_other(void *context)
{
    struct meeting *meeting = context;
    await_sleeping(meeting->other, TI_WAIT_PARK, NULL);
    meeting->written = 42; /* no atomics: the token publishes it */
    CHECK_EQUAL(ti_unpark(meeting->other), TI_OK);
    return NULL;
}

static void test_park_unpark_called_other_thread(void)
{
    for (int i = 0; i < 10; i++) {
        struct meeting meeting = {ti_current(), 0};
        ti_thread other = start(wake_other, &meeting);
        ti_park();
        CHECK_EQUAL(meeting.written, 42);
        finish(other);
    }
}

static void test_park_timeout_unpark_before(void)
{
    for (int i = 0; i < 10; i++) {
        ti_unpark(ti_current());
        CHECK_EQUAL(ti_park_until(ti_deadline_after(UINT64_MAX)), TI_OK);
    }
}

static void test_park_timeout_unpark_not_called(void)
{
    for (int i = 0; i < 3; i++) {
        uint64_t before = ti_now();
        CHECK_EQUAL(ti_park_until(ti_deadline_after(10 * MILLISECOND)), TI_ETIMEDOUT);
        CHECK(ti_now() - before >= 10 * MILLISECOND);
    }
    CHECK_EQUAL(ti_park_until(0), TI_ETIMEDOUT);
}

static void test_park_timeout_unpark_called_other_thread(void)
{
    for (int i = 0; i < 10; i++) {
        struct meeting meeting = {ti_current(), 0};
        ti_thread other = start(wake_other, &meeting);
        CHECK_EQUAL(ti_park_until(ti_deadline_after(UINT64_MAX)), TI_OK);
        CHECK_EQUAL(meeting.written, 42);
        finish(other);
    }
}

static void tokens_do_not_add_up(void)
{
    ti_unpark(ti_current());
    ti_unpark(ti_current());
    ti_unpark(ti_current());
    ti_park();
    CHECK_EQUAL(ti_park_until(ti_deadline_after(MILLISECOND)), TI_ETIMEDOUT);
}

static void a_timed_out_park_leaves_no_trace(void)
{
    CHECK_EQUAL(ti_park_until(ti_deadline_after(MILLISECOND)), TI_ETIMEDOUT);
    ti_unpark(ti_current());
    CHECK_EQUAL(ti_park_until(TI_FOREVER), TI_OK);
}

static void unpark_of_a_joined_thread_is_stale(void)
{
    ti_thread thread = start(nothing, NULL);
    finish(thread);
    CHECK_EQUAL(ti_unpark(thread), TI_ESTALE);
    CHECK_EQUAL(ti_unpark((ti_thread){0}), TI_ESTALE);
    /* The slot's next thread starts without a token. */
    ti_thread next = start(nothing, NULL);
    CHECK_EQUAL(ti_unpark(thread), TI_ESTALE);
    finish(next);
}

struct rally {
    ti_thread main;
    int ball;
};

enum {
    ROUNDS = 20000,
};

static void *return_ball(void *context)
{
    struct rally *rally = context;
    for (int i = 0; i < ROUNDS; i++) {
        ti_park();
        CHECK_EQUAL(rally->ball, 2 * i + 1);
        rally->ball++;
        ti_unpark(rally->main);
    }
    return NULL;
}

/* The token alone orders the two threads: each finds what the other wrote before. */
static void a_rally_by_tokens(void)
{
    struct rally rally = {ti_current(), 0};
    ti_thread other = start(return_ball, &rally);
    for (int i = 0; i < ROUNDS; i++) {
        rally.ball++;
        ti_unpark(other);
        ti_park();
        CHECK_EQUAL(rally.ball, 2 * i + 2);
    }
    finish(other);
}

static void *park_in_turn(void *context)
{
    _Atomic int *woken = context;
    ti_park();
    atomic_fetch_add(woken, 1);
    return NULL;
}

static void every_thread_has_its_own_token(void)
{
    _Atomic int woken = 0;
    ti_thread threads[16];
    for (int i = 0; i < 16; i++) {
        threads[i] = start(park_in_turn, &woken);
    }
    for (int i = 15; i >= 0; i--) {
        ti_unpark(threads[i]);
        finish(threads[i]);
        CHECK_EQUAL(atomic_load(&woken), 16 - i);
    }
}

TEST_MAIN(TEST(test_park_unpark_before), TEST(test_park_unpark_called_other_thread),
          TEST(test_park_timeout_unpark_before), TEST(test_park_timeout_unpark_not_called),
          TEST(test_park_timeout_unpark_called_other_thread), TEST(tokens_do_not_add_up),
          TEST(a_timed_out_park_leaves_no_trace), TEST(unpark_of_a_joined_thread_is_stale), TEST(a_rally_by_tokens),
          TEST(every_thread_has_its_own_token))
