/* How a test program talks: facts about itself as lines on stdout, commands from stdin; it ends when stdin does. */
#ifndef TRUTH_H
#define TRUTH_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One write a line, so that threads do not cut into each other's. */
static inline void say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    size = size < (int)sizeof line - 1 ? size : (int)sizeof line - 2;
    line[size] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)size + 1) < 0) {
        _exit(4);
    }
}

static inline void expect(bool truth, const char *what)
{
    if (!truth) {
        say("failed %s", what);
        _exit(3);
    }
}

/* The next command; "" when there is none any more. */
static inline const char *hear(void)
{
    static char line[256];
    if (!fgets(line, sizeof line, stdin)) {
        return "";
    }
    line[strcspn(line, "\n")] = 0;
    return line;
}

static inline int own_tid(void)
{
    return (int)syscall(SYS_gettid);
}

static inline pthread_t start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    expect(pthread_create(&thread, NULL, run, argument) == 0, "pthread_create");
    return thread;
}

#endif
