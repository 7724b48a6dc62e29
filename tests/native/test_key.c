/* Lazy static keys. Names follow the tests of std's thread-local keys where there is one. */
#include "threads.h"
#include "tinspect/local.h"

#include <pthread.h>

static void smoke(void)
{
    static ti_key one = TI_KEY_INIT("one", NULL);
    static ti_key two = TI_KEY_INIT("two", NULL);
    int first = 0;
    int second = 0;
    CHECK(ti_key_get(&one) == NULL);
    CHECK_EQUAL(ti_get(one.key), 0); /* reading makes no key */
    CHECK_EQUAL(ti_key_set(&one, &first), TI_OK);
    CHECK_EQUAL(ti_key_set(&two, &second), TI_OK);
    CHECK(ti_key_get(&one) == &first);
    CHECK(ti_key_get(&two) == &second);
    CHECK(ti_get(one.key) != 0);
    CHECK_EQUAL(ti_key_set(&one, NULL), TI_OK);
    CHECK(ti_key_get(&one) == NULL);
}

/* Takes every key there is; whether key 0 was among them. */
static bool take_all_keys(void)
{
    bool zero = false;
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) {
        zero = zero || key == 0;
    }
    return zero;
}

/* pthread hands out key 0 like any other, but here it means "none". */
static void a_real_key_zero_is_never_kept(void)
{
    static ti_key other = TI_KEY_INIT("takes what comes first", NULL);
    CHECK_EQUAL(ti_key_set(&other, &other), TI_OK);
    take_all_keys();
    pthread_key_delete(0); /* now 0 is what pthread gives next, and there is one more for who does not want it */
    pthread_key_delete(5);
    static ti_key key = TI_KEY_INIT("not zero", NULL);
    int value = 0;
    CHECK_EQUAL(ti_key_set(&key, &value), TI_OK);
    CHECK(ti_get(key.key) != 0);
    CHECK(ti_key_get(&key) == &value);
    CHECK(take_all_keys()); /* the real key 0 was given back */
}

static ti_key ended = TI_KEY_INIT("ended", NULL);
static _Atomic int ends;

static void count_end(void *value)
{
    CHECK(value == &ends);
    atomic_fetch_add(&ends, 1);
}

static void *set_key(void *context)
{
    CHECK(ti_key_get(context) == NULL); /* each thread has its own value */
    CHECK_EQUAL(ti_key_set(context, &ends), TI_OK);
    return NULL;
}

static void destructors_run_before_the_join(void)
{
    ended.destructor = count_end;
    for (int i = 1; i <= 10; i++) {
        finish(start(set_key, &ended));
        CHECK_EQUAL(atomic_load(&ends), i);
    }
}

struct key_race {
    ti_key key;
    ti_barrier barrier;
};

static void *race_for_key(void *context)
{
    struct key_race *race = context;
    ti_barrier_wait(&race->barrier);
    CHECK_EQUAL(ti_key_set(&race->key, context), TI_OK);
    CHECK(ti_key_get(&race->key) == context);
    return NULL;
}

static int free_keys(void)
{
    static pthread_key_t keys[4096];
    int count = 0;
    while (count < 4096 && pthread_key_create(&keys[count], NULL) == 0) {
        count++;
    }
    for (int i = 0; i < count; i++) {
        pthread_key_delete(keys[i]);
    }
    return count;
}

/* Losers of the compare-and-swap delete their keys: each round uses exactly one. */
static void racing_threads_make_one_key(void)
{
    enum {
        ROUNDS = 50,
        THREADS = 4,
    };
    finish(start(set_key, &ended)); /* whatever the runtime itself makes is made now */
    int before = free_keys();
    static struct key_race races[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        races[round].barrier = (ti_barrier)TI_BARRIER_INIT(THREADS);
        ti_thread threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            threads[i] = start(race_for_key, &races[round]);
        }
        for (int i = 0; i < THREADS; i++) {
            finish(threads[i]);
        }
    }
    CHECK_EQUAL(free_keys(), before - ROUNDS);
    for (int round = 0; round < ROUNDS; round++) {
        ti_key_delete(&races[round].key);
    }
    CHECK_EQUAL(free_keys(), before);
}

static void no_more_keys_is_a_status(void)
{
    take_all_keys();
    static ti_key key = TI_KEY_INIT("one too many", NULL);
    CHECK_EQUAL(ti_key_set(&key, &ends), TI_EAGAIN);
    CHECK(ti_key_get(&key) == NULL);
}

static void a_key_stands_in_the_registry(void)
{
    static ti_key key = TI_KEY_INIT("visible", count_end);
    CHECK_EQUAL(ti_key_set(&key, NULL), TI_OK);
    struct ti_key_record *record = ti_get(key.record);
    CHECK(record != NULL);
    CHECK_EQUAL(ti_get(record->address), (uintptr_t)&key);
    CHECK_EQUAL(ti_get(record->pthread_key), ti_get(key.key));
    CHECK_EQUAL(ti_get(record->destructor), (uintptr_t)count_end);
    ti_key_delete(&key);
    CHECK_EQUAL(ti_get(record->slot.id), 0);
}

TEST_MAIN(TEST(smoke), TEST(a_real_key_zero_is_never_kept), TEST(destructors_run_before_the_join),
          TEST(racing_threads_make_one_key), TEST(no_more_keys_is_a_status), TEST(a_key_stands_in_the_registry))
