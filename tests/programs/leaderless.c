/* The first thread ends, the process goes on: "thread TID LOCAL SEED" of those that stay, then "ready" when the leader
 * is a zombie. */
#define _GNU_SOURCE
#include <fcntl.h>

#include "truth.h"

static pthread_barrier_t all_have_said;

static void *stay(void *seed)
{
    volatile unsigned long local = (unsigned long)seed;
    say("thread %d %p %lu", own_tid(), (void *)&local, local);
    pthread_barrier_wait(&all_have_said);
    for (;;) {
        pause();
    }
    return NULL;
}

static void *announce(void *unused)
{
    char line[256];
    pthread_barrier_wait(&all_have_said);
    do { /* the zombie's state letter follows its name in parentheses */
        int file = open("/proc/self/stat", O_RDONLY);
        ssize_t size = read(file, line, sizeof line - 1);
        line[size > 0 ? size : 0] = 0;
        close(file);
        sched_yield();
    } while (!strstr(line, ") Z "));
    say("ready");
    hear();
    _exit(0);
    return unused;
}

int main(void)
{
    pthread_barrier_init(&all_have_said, NULL, 3);
    start(stay, (void *)11);
    start(stay, (void *)12);
    start(announce, NULL);
    pthread_exit(NULL);
}
