/*
 * Threads whose every iteration checks itself: integer and floating-point registers held across system calls and
 * signals' return paths, memory, blocking calls that must not return EINTR. Any fault: "failed WHAT" and exit 3.
 * "alive" waits until every thread has done another round, then says "alive".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <time.h>

#include "truth.h"

enum { CHECKS = 5 };

static _Atomic unsigned long rounds[CHECKS];

static void count_round(void *count)
{
    (*(_Atomic unsigned long *)count)++;
}

static void *check_integers(void *count)
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
        count_round(count);
    }
    return count;
}

static void *check_floats(void *count)
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
        count_round(count);
    }
    return count;
}

static void *check_sleep(void *count)
{
    struct timespec nap = {0, 50000};
    for (;;) {
        expect(nanosleep(&nap, NULL) == 0, "nanosleep");
        count_round(count);
    }
    return count;
}

static void *check_epoll(void *count)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (;;) {
        int result = epoll_wait(epoll, &event, 1, 1);
        expect(result == 0 || getenv("ALLOW_EINTR"), "epoll_wait");
        count_round(count);
    }
    return count;
}

static void *check_memory(void *count)
{
    volatile unsigned long words[512];
    for (unsigned long seed = 1;; seed++) {
        for (unsigned long index = 0; index < 512; index++) {
            words[index] = seed ^ index;
        }
        for (unsigned long index = 0; index < 512; index++) {
            expect(words[index] == (seed ^ index), "memory");
        }
        count_round(count);
    }
    return count;
}

static void wait_for_rounds(void)
{
    const struct timespec nap = {0, 100000};
    unsigned long before[CHECKS];
    for (int index = 0; index < CHECKS; index++) {
        before[index] = rounds[index];
    }
    for (int index = 0; index < CHECKS; index++) {
        while (rounds[index] == before[index]) {
            nanosleep(&nap, NULL);
        }
    }
}

int main(void)
{
    static void *(*const checks[CHECKS])(void *) = {check_integers, check_floats, check_sleep, check_epoll,
                                                    check_memory};
    for (int index = 0; index < CHECKS; index++) {
        start(checks[index], &rounds[index]);
    }
    say("ready");
    while (strcmp(hear(), "alive") == 0) {
        wait_for_rounds();
        say("alive");
    }
    return 0;
}
