/*
 * Threads that live throughout ("thread TID", then "ready") among others that come and go all the time, nested: a
 * short-lived thread makes the next before it ends. ARGUMENT 1: how many live throughout.
 */
#include "truth.h"

enum { CHAINS = 4 };

static pthread_barrier_t all_have_said;

static void *live(void *unused)
{
    say("thread %d", own_tid());
    pthread_barrier_wait(&all_have_said);
    pause();
    return unused;
}

static void *pass_on(void *remaining);

/* Others' threads may use up the system's ids for a moment: then again. */
static void start_next(void *remaining)
{
    pthread_t thread;
    while (pthread_create(&thread, NULL, pass_on, remaining) != 0) {
        sched_yield();
    }
    pthread_detach(thread);
}

static void *pass_on(void *remaining)
{
    start_next(remaining ? (char *)remaining - 1 : (void *)50);
    return NULL;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 20;
    pthread_barrier_init(&all_have_said, NULL, (unsigned)count + 1);
    for (int index = 0; index < count; index++) {
        start(live, NULL);
    }
    pthread_barrier_wait(&all_have_said);
    for (int index = 0; index < CHAINS; index++) {
        start_next((void *)50);
    }
    say("ready");
    hear();
    return 0;
}
