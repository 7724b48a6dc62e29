/* Once. Names follow std::sync::once's tests where there is one. */
#include "threads.h"

static void count_one(void *context)
{
    (*(int *)context)++;
}

static void count_one_forced(void *context, bool poisoned)
{
    (void)poisoned;
    (*(int *)context)++;
}

static void smoke_once(void)
{
    static ti_once once = TI_ONCE_INIT;
    int count = 0;
    CHECK(!ti_once_is_done(&once));
    CHECK_EQUAL(ti_once_call(&once, count_one, &count), TI_OK);
    CHECK_EQUAL(count, 1);
    CHECK(ti_once_is_done(&once));
    CHECK_EQUAL(ti_once_call(&once, count_one, &count), TI_OK);
    CHECK_EQUAL(ti_once_call_force(&once, count_one_forced, &count), TI_OK);
    CHECK_EQUAL(count, 1);
}

struct stampede {
    ti_once once;
    bool run;
};

static void run_slowly(void *context)
{
    struct stampede *stampede = context;
    for (int i = 0; i < 5; i++) {
        sched_yield();
    }
    CHECK(!stampede->run);
    stampede->run = true;
}

static void *trample(void *context)
{
    struct stampede *stampede = context;
    for (int i = 0; i < 4; i++) {
        sched_yield();
    }
    CHECK_EQUAL(ti_once_call(&stampede->once, run_slowly, stampede), TI_OK);
    CHECK(stampede->run);
    return NULL;
}

static void stampede_once(void)
{
    struct stampede stampede = {TI_ONCE_INIT, false};
    ti_thread threads[10];
    for (int i = 0; i < 10; i++) {
        threads[i] = start(trample, &stampede);
    }
    CHECK_EQUAL(ti_once_call(&stampede.once, run_slowly, &stampede), TI_OK);
    CHECK(stampede.run);
    for (int i = 0; i < 10; i++) {
        finish(threads[i]);
    }
}

static void panic_inside(void *context)
{
    (void)context;
    ti_panic("explicit panic");
}

static void call_and_panic(void *context)
{
    ti_once_call(context, panic_inside, NULL);
}

static void note_poison(void *context, bool poisoned)
{
    *(int *)context = poisoned ? 2 : 1;
}

static void poison_bad(void)
{
    ti_once once = TI_ONCE_INIT;
    expect_panic(call_and_panic, &once);
    int count = 0;
    CHECK_EQUAL(ti_once_call(&once, count_one, &count), TI_EPOISONED);
    CHECK_EQUAL(ti_once_wait(&once), TI_EPOISONED);
    CHECK_EQUAL(count, 0);
    CHECK_EQUAL(ti_once_call_force(&once, note_poison, &count), TI_OK);
    CHECK_EQUAL(count, 2); /* it was told of the poison */
    CHECK_EQUAL(ti_once_call(&once, count_one, &count), TI_OK);
    CHECK_EQUAL(count, 2);
}

struct force {
    ti_once once;
    ti_mutex inside;
    _Atomic bool begun;
    int calls;
};

static void wait_inside(void *context, bool poisoned)
{
    struct force *force = context;
    CHECK(poisoned);
    atomic_store(&force->begun, true);
    ti_lock(&force->inside);
    force->calls++;
    ti_unlock(&force->inside);
}

static void *force_slowly(void *context)
{
    struct force *force = context;
    CHECK_EQUAL(ti_once_call_force(&force->once, wait_inside, force), TI_OK);
    return NULL;
}

static void count_call(void *context)
{
    struct force *force = context;
    force->calls++;
}

static void *call_while_forced(void *context)
{
    struct force *force = context;
    CHECK_EQUAL(ti_once_call(&force->once, count_call, force), TI_OK);
    return NULL;
}

static void wait_for_force_to_finish(void)
{
    struct force force = {TI_ONCE_INIT, TI_MUTEX_INIT, false, 0};
    expect_panic(call_and_panic, &force.once);
    ti_lock(&force.inside);
    ti_thread forcing = start(force_slowly, &force);
    while (!atomic_load(&force.begun)) {
        sched_yield();
    }
    ti_thread waiting = start(call_while_forced, &force);
    await_sleeping(waiting, TI_WAIT_ONCE, &force.once);
    ti_unlock(&force.inside);
    finish(forcing);
    finish(waiting);
    CHECK_EQUAL(force.calls, 1);
}

static void *wait_for_once(void *context)
{
    struct stampede *stampede = context;
    CHECK_EQUAL(ti_once_wait(&stampede->once), TI_OK);
    CHECK(stampede->run);
    return NULL;
}

static void wait_before_anyone_began(void)
{
    struct stampede stampede = {TI_ONCE_INIT, false};
    ti_thread waiters[3];
    for (int i = 0; i < 3; i++) {
        waiters[i] = start(wait_for_once, &stampede);
        await_sleeping(waiters[i], TI_WAIT_ONCE, &stampede.once);
    }
    CHECK_EQUAL(ti_once_call(&stampede.once, run_slowly, &stampede), TI_OK);
    for (int i = 0; i < 3; i++) {
        finish(waiters[i]);
    }
    CHECK_EQUAL(ti_once_wait(&stampede.once), TI_OK);
}

static void *wait_forced_for_once(void *context)
{
    struct stampede *stampede = context;
    CHECK_EQUAL(ti_once_wait_force(&stampede->once), TI_OK);
    CHECK(stampede->run);
    return NULL;
}

static void run_forced(void *context, bool poisoned)
{
    CHECK(poisoned);
    run_slowly(context);
}

static void wait_force_outlasts_a_panic(void)
{
    struct stampede stampede = {TI_ONCE_INIT, false};
    ti_thread waiter = start(wait_forced_for_once, &stampede);
    await_sleeping(waiter, TI_WAIT_ONCE, &stampede.once);
    expect_panic(call_and_panic, &stampede.once);
    CHECK_EQUAL(ti_once_call_force(&stampede.once, run_forced, &stampede), TI_OK);
    finish(waiter);
}

static void call_again(void *context)
{
    int count = 0;
    CHECK_EQUAL(ti_once_call(context, count_one, &count), TI_ERECURSION);
    CHECK_EQUAL(ti_once_wait(context), TI_ERECURSION);
    CHECK_EQUAL(count, 0);
}

static void recursion_is_reported(void)
{
    ti_set_checked(true, keep_report);
    ti_once once = TI_ONCE_INIT;
    CHECK_EQUAL(ti_once_call(&once, call_again, &once), TI_OK);
    CHECK(ti_once_is_done(&once));
    CHECK_EQUAL(last_misuse, TI_ERECURSION);
}

TEST_MAIN(TEST(smoke_once), TEST(stampede_once), TEST(poison_bad), TEST(wait_for_force_to_finish),
          TEST(wait_before_anyone_began), TEST(wait_force_outlasts_a_panic), TEST(recursion_is_reported))
