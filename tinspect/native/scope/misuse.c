/* Broken rules: fatal ones, and those that the checked mode reports. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "tinspect/thread.h"

/* What was asked for; 0 until the environment has been looked at. */
enum {
    CHECKED_UNKNOWN = 0,
    CHECKED_OFF = 1,
    CHECKED_ON = 2,
};
static _Atomic int checked_mode;
static _Atomic(ti_misuse_handler) misuse_handler;

void ti_tell(const char *format, ...)
{
    va_list arguments;
    int cancellable;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    va_start(arguments, format);
    vdprintf(STDERR_FILENO, format, arguments);
    va_end(arguments);
    pthread_setcancelstate(cancellable, NULL);
}

void ti_fatal(const char *format, ...)
{
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    ti_tell("tinspect: fatal: %s\n", length < 0 ? format : words);
    abort();
}

void ti_set_checked(bool on, ti_misuse_handler handler)
{
    atomic_store_explicit(&misuse_handler, handler, memory_order_release);
    atomic_store_explicit(&checked_mode, on ? CHECKED_ON : CHECKED_OFF, memory_order_release);
}

static bool is_checked(void)
{
    int mode = atomic_load_explicit(&checked_mode, memory_order_acquire);
    if (mode == CHECKED_UNKNOWN) {
        const char *asked = getenv("TINSPECT_CHECKED");
        int from_environment = asked != NULL && strcmp(asked, "1") == 0 ? CHECKED_ON : CHECKED_OFF;
        /* Only the first look counts: ti_set_checked may have come in between. */
        atomic_compare_exchange_strong(&checked_mode, &mode, from_environment);
        mode = atomic_load_explicit(&checked_mode, memory_order_acquire);
    }
    return mode == CHECKED_ON;
}

static void describe_self(char *words, size_t room)
{
    char name[64];
    if (ti_thread_name(ti_current(), name, sizeof name, NULL) != TI_OK || name[0] == 0) {
        snprintf(words, room, "thread %llu", (unsigned long long)ti_current_id());
    } else {
        snprintf(words, room, "thread %llu \"%s\"", (unsigned long long)ti_current_id(), name);
    }
}

ti_status ti_misuse(ti_status status, const char *what, const void *object, uint64_t holder)
{
    if (!is_checked()) {
        return status;
    }
    char who[128];
    char held[64] = "";
    char report[512];
    describe_self(who, sizeof who);
    if (holder != 0) {
        snprintf(held, sizeof held, ", held by thread %llu", (unsigned long long)holder);
    }
    snprintf(report, sizeof report, "misuse: %s (object %p%s) in %s: %s", what, object, held, who,
             ti_status_text(status));
    ti_tell("tinspect: %s\n", report);
    ti_misuse_handler handler = atomic_load_explicit(&misuse_handler, memory_order_acquire);
    if (handler == NULL) {
        abort();
    }
    handler(status, report);
    return status;
}
