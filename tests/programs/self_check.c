/*
 * Threads whose every iteration checks itself: integer and floating-point registers held across system calls and
 * signals' return paths, memory, blocking calls that must not return EINTR. Any fault: "failed WHAT" and exit 3.
 * "alive" answers "alive N", N growing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

#include "truth.h"

static _Atomic unsigned long rounds;

static void *check_integers(void *unused)
{
    for (unsigned long start = 1;; start++) {
        unsigned long a = start, b = start * 3, c = start * 7, d = ~start;
        for (int step = 0; step < 2000; step++) {
            a += 5;
            b += 15;
            c += 35;
            d -= 5;
            __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
        }
        expect(b == a * 3 && c == a * 7 && d == ~a, "integers");
        rounds++;
    }
    return unused;
}

static void *check_floats(void *unused)
{
    for (;;) {
        double a = 1, b = 2, c = 4;
        for (int step = 0; step < 1000; step++) {
            a += 1;
            b += 2;
            c += 4;
            __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
        }
        expect(a == 1001 && b == 2002 && c == 4004, "floats");
        rounds++;
    }
    return unused;
}

static void *check_sleep(void *unused)
{
    struct timespec nap = {0, 50000};
    for (;;) {
        expect(nanosleep(&nap, NULL) == 0, "nanosleep");
        rounds++;
    }
    return unused;
}

static void *check_epoll(void *unused)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (;;) {
        int result = epoll_wait(epoll, &event, 1, 1);
        expect(result == 0 || getenv("ALLOW_EINTR"), "epoll_wait");
        rounds++;
    }
    return unused;
}

static void *check_memory(void *unused)
{
    volatile unsigned long words[512];
    for (unsigned long seed = 1;; seed++) {
        for (unsigned long index = 0; index < 512; index++) {
            words[index] = seed ^ index;
        }
        for (unsigned long index = 0; index < 512; index++) {
            expect(words[index] == (seed ^ index), "memory");
        }
        rounds++;
    }
    return unused;
}

int main(void)
{
    start(check_integers, NULL);
    start(check_floats, NULL);
    start(check_sleep, NULL);
    start(check_epoll, NULL);
    start(check_memory, NULL);
    say("ready");
    while (strcmp(hear(), "alive") == 0) {
        say("alive %lu", rounds);
    }
    return 0;
}
