/* 200 keys created, some deleted and created again, with values in several threads. Each thread prints what
 * pthread_getspecific says. */
#define _GNU_SOURCE
#include "json_truth.h"

enum { KEYS = 200, THREADS = 4 };

static pthread_key_t keys[KEYS];
static int alive[KEYS];
static pthread_barrier_t step;

static void forget(void *value)
{
    (void)value;
}
static void release(void *value)
{
    (void)value;
}

static void (*destructor_of(int index))(void *)
{
    return index % 3 == 0 ? NULL : index % 3 == 1 ? forget : release;
}

static void set_values(int thread, int round)
{
    for (int index = 0; index < KEYS; index++) {
        if (alive[index] && (index + thread + round) % 2) {
            CHECK(pthread_setspecific(keys[index],
                                      (void *)(uintptr_t)(0x100000 * (thread + 1) + 0x1000 * round + index)));
        }
    }
}

static void tell_values(void)
{
    for (int index = 0; index < KEYS; index++) {
        if (alive[index] && pthread_getspecific(keys[index])) {
            TRUTH("{\"kind\": \"value\", \"tid\": %d, \"key\": %u, \"value\": %llu}", truth_tid(),
                  (unsigned)keys[index], truth_hex(pthread_getspecific(keys[index])));
        }
    }
}

static void *body(void *number)
{
    int thread = (int)(uintptr_t)number;
    set_values(thread, 0);
    pthread_barrier_wait(&step); /* every thread has its first values */
    pthread_barrier_wait(&step); /* main has deleted keys, and created others in their place */
    if (thread != 1) {           /* thread 1 keeps stale values in reused keys */
        set_values(thread, 1);
    }
    tell_values();
    pthread_barrier_wait(&step);
    truth_sleep();
}

int main(int count, char **arguments)
{
    int wanted = count > 1 ? atoi(arguments[1]) : KEYS; /* musl has 128 keys */
    pthread_t thread;
    CHECK(pthread_barrier_init(&step, NULL, THREADS + 1));
    for (int index = 0; index < wanted; index++) {
        CHECK(pthread_key_create(&keys[index], destructor_of(index)));
        alive[index] = 1;
    }
    for (int number = 1; number <= THREADS; number++) {
        CHECK(pthread_create(&thread, NULL, body, (void *)(uintptr_t)number));
    }
    set_values(0, 0);
    pthread_barrier_wait(&step);
    for (int index = 0; index < wanted; index += 2) {
        CHECK(pthread_key_delete(keys[index]));
        alive[index] = 0;
    }
    for (int index = 0; index < wanted; index += 4) { /* half of them come back, with another destructor */
        CHECK(pthread_key_create(&keys[index], destructor_of(index + 1)));
        alive[index] = 1;
        TRUTH("{\"kind\": \"reused\", \"key\": %u}", (unsigned)keys[index]);
    }
    pthread_barrier_wait(&step);
    set_values(0, 1);
    tell_values();
    pthread_barrier_wait(&step);
    for (int index = 0; index < wanted; index++) {
        if (alive[index]) {
            TRUTH("{\"kind\": \"key\", \"key\": %u, \"destructor\": %llu}", (unsigned)keys[index],
                  truth_hex((void *)destructor_of(index % 4 == 0 ? index + 1 : index)));
        }
    }
    truth_ready_and_wait();
    _exit(0);
}
