/* Handles in many hands: whoever joins, detaches, asks or unparks, each result is taken or dropped exactly once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "harness.h"
#include "tinspect/runtime.h"

enum {
    HANDS = 4,
    ROUNDS = 400,
    SHARED = 8,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ti_thread shared[SHARED];
static _Atomic long spawned, taken, dropped, panicked, terminated;
static ti_scope common;

static void *result(void *context)
{
    return context;
}

static void drop_panic(void *payload)
{
    (void)payload;
    atomic_fetch_add(&panicked, 1);
}

static void *fail(void *context)
{
    ti_panic_quietly(context, drop_panic, "as asked");
}

static void *leave(void *context)
{
    (void)context;
    atomic_fetch_add(&terminated, 1);
    pthread_exit(NULL);
}

static void drop(void *value)
{
    (void)value;
    atomic_fetch_add(&dropped, 1);
}

static ti_thread exchange(unsigned place, ti_thread mine)
{
    pthread_mutex_lock(&lock);
    ti_thread there = shared[place];
    shared[place] = mine;
    pthread_mutex_unlock(&lock);
    return there;
}

static ti_thread peek(unsigned place)
{
    pthread_mutex_lock(&lock);
    ti_thread there = shared[place];
    pthread_mutex_unlock(&lock);
    return there;
}

static void count(ti_status status)
{
    if (status == TI_OK) {
        atomic_fetch_add(&taken, 1);
    }
    CHECK(status == TI_OK || status == TI_EPANIC || status == TI_ETERMINATED || status == TI_ESTALE ||
          status == TI_EBUSY || status == TI_ETIMEDOUT);
}

static void use(ti_thread thread, unsigned what)
{
    char name[16];
    void *value = NULL;
    ti_thread_info info = {.size = sizeof info};
    ti_status status;
    switch (what % 6) {
    case 0:
        count(ti_join(thread, &value, NULL));
        break;
    case 1:
        count(ti_join_until(thread, 0, &value, NULL));
        break;
    case 2:
        status = ti_detach(thread);
        CHECK(status == TI_OK || status == TI_ESTALE || status == TI_EBUSY);
        break;
    case 3:
        (void)ti_is_finished(thread);
        break;
    case 4:
        status = ti_thread_describe(thread, &info);
        CHECK(status == TI_OK ? info.id == thread.id : status == TI_ESTALE);
        status = ti_thread_name(thread, name, sizeof name, NULL);
        CHECK(status == TI_OK ? strcmp(name, "in many hands") == 0 : status == TI_ESTALE);
        break;
    default:
        status = ti_unpark(thread);
        CHECK(status == TI_OK || status == TI_ESTALE);
    }
}

static void *hand(void *context)
{
    unsigned random = (unsigned)(uintptr_t)context * 2654435761u + 1;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "in many hands";
    options.drop_result = drop;
    options.stack_size = 65536;
    ti_thread_function functions[] = {result, result, fail, leave};
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        unsigned place = random >> 24 & (SHARED - 1);
        ti_thread thread;
        if (ti_spawn((random >> 9 & 1) != 0 ? common : (ti_scope){0}, &options, functions[random >> 16 & 3], &lock,
                     &thread) == TI_OK) {
            atomic_fetch_add(&spawned, 1);
            ti_thread old = exchange(place, thread);
            use(old, random >> 12);
            while (ti_detach(old) == TI_EBUSY) {
                ti_yield(); /* somebody tries to join it, and may give up */
            }
        }
        use(peek(random >> 20 & (SHARED - 1)), random >> 5);
    }
    return NULL;
}

static void *many_hands(ti_scope scope, void *context)
{
    common = scope;
    for (uintptr_t i = 1; i <= HANDS; i++) {
        CHECK_EQUAL(ti_spawn(scope, NULL, hand, (void *)i, NULL), TI_OK);
    }
    return context;
}

static void each_result_is_taken_or_dropped_once(void)
{
    ti_panics *panics = NULL;
    ti_scope_run("many hands", 0, many_hands, NULL, NULL, &panics);
    ti_panics_free(panics);
    for (unsigned i = 0; i < SHARED; i++) {
        ti_join(shared[i], NULL, NULL); /* the last ones: what nobody takes is dropped */
    }
    long all = atomic_load(&spawned);
    CHECK(all > HANDS * ROUNDS / 2);
    /* Detached ones may still be on their way. Every thread leaves a result, a panic or nothing, and each ends once. */
    while (atomic_load(&taken) + atomic_load(&dropped) + atomic_load(&panicked) + atomic_load(&terminated) < all) {
        ti_yield();
    }
    ti_sleep(0, 10000000); /* an end too many would come right behind: this look can miss it, but not fail by chance */
    CHECK_EQUAL(taken + dropped + panicked + terminated, all);
}

static void *churn_scope(ti_scope scope, void *context)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(ti_spawn(scope, NULL, result, context, NULL), TI_OK);
    }
    common = scope;
    return NULL;
}

static void *own_scopes(void *context)
{
    for (int i = 0; i < 150; i++) {
        void *value = NULL;
        CHECK_EQUAL(ti_scope_run(NULL, 0, churn_scope, context, &value, NULL), TI_OK);
    }
    return NULL;
}

/* Spawns through a handle that goes stale at any moment: it is in, and waited for, or it is refused. */
static void *intrude(void *context)
{
    _Atomic long *entered = context;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = 65536;
    for (int i = 0; i < 600; i++) {
        ti_scope scope = {.id = (uint64_t)i, .slot = (uint32_t)i % 3, .generation = (uint32_t)i / 2};
        for (uint64_t id = 1; id < 4; id++) {
            scope.id += id;
            ti_status status = ti_spawn(scope, &options, result, NULL, NULL);
            CHECK(status == TI_OK || status == TI_ESTALE || status == TI_ECLOSED);
            atomic_fetch_add(entered, status == TI_OK);
        }
    }
    return NULL;
}

static void guessed_scope_handles_do_no_harm(void)
{
    _Atomic long entered = 0;
    ti_thread owner;
    ti_thread intruder;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, own_scopes, NULL, &owner), TI_OK);
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, intrude, &entered, &intruder), TI_OK);
    CHECK_EQUAL(ti_join(owner, NULL, NULL), TI_OK);
    CHECK_EQUAL(ti_join(intruder, NULL, NULL), TI_OK);
}

TEST_MAIN(TEST(each_result_is_taken_or_dropped_once), TEST(guessed_scope_handles_do_no_harm))
