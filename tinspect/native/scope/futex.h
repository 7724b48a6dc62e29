/* Futex words: wait until a word changes, wake who waits. Private futexes, absolute CLOCK_MONOTONIC, EINTR-safe. */
#ifndef TI_FUTEX_H
#define TI_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tinspect/base.h"

/* Sleeps while *word == expected; false when the deadline passed. Wake-ups may be spurious: the caller re-checks its
 * own condition. A signal restarts the wait, which is safe because the deadline is absolute. errno is kept: this may
 * run under a signal handler or in the middle of someone's errno protocol. The raw system call is no cancellation
 * point. */
static inline bool ti_futex_wait(const _Atomic uint32_t *word, uint32_t expected, ti_deadline deadline)
{
    struct timespec at = {.tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    const struct timespec *timeout = deadline == TI_FOREVER ? NULL : &at;
    int saved = errno;
    bool awake = true;
    while (atomic_load_explicit(word, memory_order_relaxed) == expected) {
        long answer = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout, NULL,
                              FUTEX_BITSET_MATCH_ANY);
        if (answer == 0 || errno == EAGAIN) {
            break;
        }
        if (errno == ETIMEDOUT) {
            awake = false;
            break;
        }
        /* EINTR: look again. */
    }
    errno = saved;
    return awake;
}

/* Wakes up to `count` sleepers; how many it woke. Only the address matters to the kernel, so this is safe after the
 * object that held the word has ended, as long as its memory was not unmapped: at worst someone wakes spuriously. */
static inline int ti_futex_wake(const _Atomic uint32_t *word, int count)
{
    int saved = errno;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
    errno = saved;
    return woken > 0 ? (int)woken : 0;
}

static inline void ti_futex_wake_all(const _Atomic uint32_t *word)
{
    ti_futex_wake(word, INT_MAX);
}

#endif
