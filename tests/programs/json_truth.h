/* What every ground-truth program shares: one JSON object a line, a line that says all is ready, and waiting to be let
 * go. */
#ifndef JSON_TRUTH_H
#define JSON_TRUTH_H
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        int check_error_ = (call);                                                                                     \
        if (check_error_) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(check_error_));                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static pthread_mutex_t truth_lock = PTHREAD_MUTEX_INITIALIZER;

static inline int truth_tid(void)
{
    return (int)syscall(SYS_gettid);
}
static inline unsigned long long truth_hex(const volatile void *address)
{
    return (unsigned long long)(uintptr_t)address;
}

/* Prints one line; several threads may do so at once. */
#define TRUTH(...)                                                                                                     \
    do {                                                                                                               \
        pthread_mutex_lock(&truth_lock);                                                                               \
        printf(__VA_ARGS__);                                                                                           \
        putchar('\n');                                                                                                 \
        fflush(stdout);                                                                                                \
        pthread_mutex_unlock(&truth_lock);                                                                             \
    } while (0)

static inline __attribute__((noreturn)) void truth_sleep(void)
{
    for (;;) {
#ifdef SYS_pause
        syscall(SYS_pause);
#else /* newer architectures have ppoll alone */
        pause();
#endif
    }
}

/* Says that the truth is complete, and returns when the test closes our standard input. */
static inline void truth_ready_and_wait(void)
{
    char byte;
    TRUTH("{\"kind\": \"ready\"}");
    while (read(0, &byte, 1) > 0) {
    }
}
#endif
