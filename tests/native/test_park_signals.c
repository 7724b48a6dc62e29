/* Parking while signals arrive. */
/* not under tsan: it delivers a signal at the next call it knows, and a thread in a raw futex call makes none */
#include "threads.h"

#include <pthread.h>
#include <signal.h>

static _Atomic int handled;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&handled, 1);
}

static void *park_once(void *context)
{
    (void)context;
    ti_park();
    CHECK_EQUAL(atomic_load(&handled), 5);
    return NULL;
}

static void park_survives_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    sigaction(SIGUSR1, &action, NULL);
    ti_thread thread = start(park_once, NULL);
    await_sleeping(thread, TI_WAIT_PARK, NULL);
    pthread_t target = (pthread_t)ti_get(ti_thread_find(thread)->pthread);
    for (int i = 0; i < 5; i++) {
        pthread_kill(target, SIGUSR1);
        while (atomic_load(&handled) != i + 1) {
            sched_yield();
        }
    }
    CHECK_EQUAL(ti_unpark(thread), TI_OK);
    finish(thread);
}

TEST_MAIN(TEST(park_survives_signals))
